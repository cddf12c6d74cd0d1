int without(int n)
{
    return n + 1;
}
