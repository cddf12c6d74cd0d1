"""The local time zone, as it is when probelang starts.

Berlin in winter:  west_of_utc_s() -> -3600        zone_name_bytes().to_bytes(8, "little")  ->  b"CET" and five zeros
"""

from __future__ import annotations

import time


def west_of_utc_s() -> int:
    """Seconds that local time is behind UTC."""
    return -time.localtime().tm_gmtoff


def zone_name_bytes() -> int:
    """Up to 8 bytes of the zone's short name, the first in the lowest byte; below 2**63, as such names are ASCII."""
    return int.from_bytes(time.localtime().tm_zone.encode("ascii", "replace")[:8], "little")
