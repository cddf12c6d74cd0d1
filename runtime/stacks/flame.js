// Zoom, search and details of a flame graph. Everything shown comes from the picture itself, as text and never as markup.
(function () {
  "use strict";
  var svg = document.querySelector("svg");
  var width = Number(svg.dataset.width), pad = Number(svg.dataset.pad), total = Number(svg.dataset.total);
  var charWidth = Number(svg.dataset.charWidth);
  var details = document.getElementById("details"), matched = document.getElementById("matched");
  var reset = document.getElementById("reset"), search = document.getElementById("search");
  var boxes = Array.prototype.map.call(document.querySelectorAll("g.box"), function (g) {
    var title = g.querySelector("title").textContent;
    return { g: g, rect: g.querySelector("rect"), text: g.querySelector("text"), title: title, name: g.dataset.name,
             start: Number(g.dataset.start), weight: Number(g.dataset.weight), depth: Number(g.dataset.depth) };
  });
  var needle = null;

  function label(box, w) {
    var room = Math.floor((w - 6) / charWidth), name = box.name;
    if (room < 3) return "";
    var letters = Array.from(name);
    return letters.length <= room ? name : letters.slice(0, room - 2).join("") + "..";
  }

  function show(start, weight, depth) {
    var scale = (width - 2 * pad) / weight, end = start + weight;
    boxes.forEach(function (box) {
      var from = Math.max(box.start, start), to = Math.min(box.start + box.weight, end);
      var w = (to - from) * scale, beneath = box.depth < depth;
      if (w < 0.05) { box.g.style.display = "none"; return; }
      box.g.style.display = "";
      box.g.classList.toggle("beneath", beneath);
      box.rect.setAttribute("x", pad + (from - start) * scale);
      box.rect.setAttribute("width", w);
      var shown = label(box, w);
      if (!box.text && shown) {
        box.text = document.createElementNS("http://www.w3.org/2000/svg", "text");
        box.text.setAttribute("y", Number(box.rect.getAttribute("y")) + 12);
        box.g.appendChild(box.text);
      }
      if (box.text) {
        box.text.setAttribute("x", pad + (from - start) * scale + 3);
        box.text.textContent = shown;
      }
    });
    reset.style.display = weight < total ? "" : "none";
  }

  function whole() { if (total > 0) show(0, total, 0); }

  function mark(pattern) {
    needle = pattern;
    var test = null;
    if (pattern) {
      try { var e = new RegExp(pattern, "i"); test = function (s) { return e.test(s); }; }
      catch (_) { test = function (s) { return s.toLowerCase().indexOf(pattern.toLowerCase()) >= 0; }; }
    }
    var hits = boxes.filter(function (box) {
      var hit = test !== null && test(box.name);
      box.g.classList.toggle("hit", hit);
      return hit;
    });
    // what lies above another match is in its width already
    hits.sort(function (a, b) { return a.start - b.start || b.weight - a.weight; });
    var sum = 0, end = 0;
    hits.forEach(function (box) {
      if (box.start >= end) { sum += box.weight; end = box.start + box.weight; }
    });
    matched.textContent = test === null ? "" : "matched: " + (100 * sum / (total || 1)).toFixed(2) + " %";
    search.textContent = test === null ? "search" : "end search";
  }

  function ask() {
    if (needle) { mark(null); return; }
    var pattern = window.prompt("names of functions to find (a regular expression)", "");
    if (pattern) mark(pattern);
  }

  boxes.forEach(function (box) {
    box.g.addEventListener("mouseover", function () { details.textContent = box.title; });
    box.g.addEventListener("mouseout", function () { details.textContent = " "; });
    box.g.addEventListener("click", function () { show(box.start, box.weight, box.depth); });
  });
  reset.addEventListener("click", whole);
  search.addEventListener("click", ask);
  window.addEventListener("keydown", function (event) {
    if (event.key === "F3" || ((event.ctrlKey || event.metaKey) && event.key === "f")) { event.preventDefault(); ask(); }
    if (event.key === "Escape") { mark(null); whole(); }
  });
  search.style.display = "";
})();
