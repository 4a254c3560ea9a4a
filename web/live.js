// The live page: listens to the three metrics' streams and draws what they say.
//
// Each metric keeps its newest windows and the current one. Values come as server-sent events; where these
// cannot be had, the page polls. Drawing happens at most once per frame, however many changes come in. A
// hidden page closes its streams: a browser opens only six connections to a server, for all tabs together.
"use strict";

const METRICS = {
  conversion: { windows: 30, draw: drawConversion },
  cart_abandonment: { windows: 30, draw: drawAbandonment },
  // Windows overlap and hold 30 rows each: the current one is enough.
  top_products: { windows: 1, draw: drawTopProducts },
};
const POLL_MS = 1000;
const RETRY_STREAM_MS = 15000;

const state = {};
for (const metric of Object.keys(METRICS)) {
  state[metric] = { windows: new Map(), current: null, link: "connecting", source: null, timer: null, dirty: false };
}
const products = new Map();
let currency = null;

const byId = (id) => document.getElementById(id);
const wholeNumber = new Intl.NumberFormat("en");
const clockTime = (date) => date.toISOString().slice(11, 19);

// --- receiving ---

function newer(value, stored) {
  if (!stored) return true;
  if (stored.is_final && !value.is_final) return false;
  return value.epoch > stored.epoch || (value.epoch === stored.epoch && value.revision >= stored.revision);
}

function takeSnapshot(metric, live) {
  const kept = state[metric];
  const windows = new Map();
  for (const value of live.windows) {
    const stored = kept.windows.get(value.window_end);
    windows.set(value.window_end, newer(value, stored) ? value : stored);
  }
  kept.windows = windows;
  kept.current = live.current;
  changed(metric);
}

function takeWindow(metric, value) {
  const { windows, current } = state[metric];
  if (!newer(value, windows.get(value.window_end))) return;
  windows.set(value.window_end, value);
  const ends = [...windows.keys()].sort();
  const surplus = ends.length - METRICS[metric].windows;
  for (const end of ends.slice(0, Math.max(0, surplus))) {
    if (end !== current) windows.delete(end);
  }
  changed(metric);
}

let framePending = false;
function changed(metric) {
  state[metric].dirty = true;
  if (framePending) return;
  framePending = true;
  requestAnimationFrame(() => {
    framePending = false;
    for (const [name, kept] of Object.entries(state)) {
      if (!kept.dirty) continue;
      kept.dirty = false;
      METRICS[name].draw();
    }
    drawFreshness();
  });
}

// --- connection ---

function setLink(metric, link) {
  state[metric].link = link;
  const links = Object.values(state).map((kept) => kept.link);
  const worst = ["offline", "connecting", "reconnecting", "polling", "live"].find((l) => links.includes(l));
  const pill = byId("connection");
  if (pill.dataset.state !== worst) {
    pill.dataset.state = worst;
    pill.textContent = worst;
  }
}

function listen(metric) {
  stop(metric);
  if (!("EventSource" in window)) return poll(metric);
  const kept = state[metric];
  const source = new EventSource(`/v1/live/${metric}/stream?windows=${METRICS[metric].windows}`);
  kept.source = source;
  source.addEventListener("open", () => setLink(metric, "live"));
  source.addEventListener("snapshot", (event) => takeSnapshot(metric, JSON.parse(event.data)));
  source.addEventListener("window", (event) => takeWindow(metric, JSON.parse(event.data)));
  source.addEventListener("current", (event) => {
    kept.current = JSON.parse(event.data).current;
    changed(metric);
  });
  source.addEventListener("error", () => {
    // The browser reconnects by itself unless the server answered with an error: then poll, and try later.
    if (source.readyState !== EventSource.CLOSED) return setLink(metric, "reconnecting");
    stop(metric);
    poll(metric, Date.now() + RETRY_STREAM_MS);
  });
}

async function poll(metric, streamAgainAt = Infinity) {
  const kept = state[metric];
  const turn = {};
  kept.turn = turn;
  let ok = false;
  try {
    const response = await fetch(`/v1/live/${metric}?windows=${METRICS[metric].windows}`);
    ok = response.ok;
    if (ok && kept.turn === turn) takeSnapshot(metric, await response.json());
  } catch {
    ok = false;
  }
  if (kept.turn !== turn) return;
  setLink(metric, ok ? "polling" : "offline");
  kept.timer = setTimeout(() => {
    if (Date.now() >= streamAgainAt) listen(metric);
    else poll(metric, streamAgainAt);
  }, POLL_MS);
}

function stop(metric) {
  const kept = state[metric];
  kept.turn = null;
  clearTimeout(kept.timer);
  if (kept.source) kept.source.close();
  kept.source = null;
}

function listenToAll() {
  for (const metric of Object.keys(METRICS)) {
    if (document.hidden) stop(metric);
    else listen(metric);
  }
}

// --- product names ---

async function loadProducts() {
  let cursor = null;
  try {
    do {
      const after = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
      const response = await fetch(`/v1/products?limit=200${after}`);
      if (!response.ok) throw new Error(`status ${response.status}`);
      const page = await response.json();
      for (const product of page.items) {
        products.set(product.id, product.name);
        currency ??= product.currency;
      }
      cursor = page.next_cursor;
    } while (cursor);
    changed("top_products");
  } catch {
    // Without a database there are no names; ask again now and then, it may come.
    setTimeout(loadProducts, 60000);
  }
}

function money(minor) {
  if (minor == null) return "–";
  if (!currency) return wholeNumber.format(Math.round(minor / 100));
  const format = new Intl.NumberFormat("en", { style: "currency", currency });
  return format.format(minor / 10 ** format.resolvedOptions().maximumFractionDigits);
}

// --- drawing ---

const percent = (share) => (share == null ? "–" : `${(share * 100).toFixed(1)} %`);

function show(element, text) {
  if (element.textContent === text) return;
  element.textContent = text;
  element.classList.remove("changed");
  void element.offsetWidth; // lets the animation start again
  element.classList.add("changed");
}

/// The window to show: the current one, else the newest.
function shown(metric) {
  const { windows, current } = state[metric];
  return windows.get(current) ?? windows.get([...windows.keys()].sort().at(-1));
}

function byTime(metric) {
  return [...state[metric].windows.values()].sort((a, b) => (a.window_end < b.window_end ? -1 : 1));
}

function drawHead(section, value) {
  const badge = section.querySelector("[data-part=badge]");
  badge.hidden = false;
  badge.dataset.final = String(value.is_final);
  badge.textContent = value.is_final ? "final" : "provisional";
  const [start, end] = [new Date(value.window_start), new Date(value.window_end)];
  section.querySelector("[data-part=window]").textContent =
    `${start.toISOString().slice(0, 10)}, ${clockTime(start)} to ${clockTime(end)} UTC`;
  section.dataset.windowEnd = value.window_end;
  section.dataset.version = `${value.epoch}.${value.revision}`;
}

function drawNumbers(section, row) {
  for (const element of section.querySelectorAll("[data-column]")) {
    const number = row[element.dataset.column];
    const text = element.dataset.as === "percent" ? percent(number) : number == null ? "–" : wholeNumber.format(number);
    show(element, text);
  }
}

const sum = (windows, column) => windows.reduce((total, value) => total + (value.rows[0]?.[column] ?? 0), 0);
const share = (part, whole) => (whole > 0 ? part / whole : null);

function drawConversion() {
  const section = byId("conversion");
  const value = shown("conversion");
  if (!value) return;
  const row = value.rows[0] ?? {};
  drawHead(section, value);
  drawNumbers(section, row);
  for (const bar of section.querySelectorAll("[data-bar]")) {
    bar.value = share(row[bar.dataset.bar] ?? 0, row.sessions ?? 0) ?? 0;
  }
  const windows = byTime("conversion");
  const [sessions, purchasing] = [sum(windows, "sessions"), sum(windows, "purchasing_sessions")];
  section.querySelector("[data-part=sum]").textContent =
    `The ${windows.length} newest windows: ${wholeNumber.format(sessions)} sessions, ` +
    `${wholeNumber.format(purchasing)} with a purchase (${percent(share(purchasing, sessions))}).`;
  drawChart(section.querySelector("[data-chart]"), "Conversion rate", windows);
}

function drawAbandonment() {
  const section = byId("cart_abandonment");
  const value = shown("cart_abandonment");
  if (!value) return;
  drawHead(section, value);
  drawNumbers(section, value.rows[0] ?? {});
  const windows = byTime("cart_abandonment");
  const [carts, abandoned] = [sum(windows, "carts"), sum(windows, "abandoned")];
  section.querySelector("[data-part=sum]").textContent =
    `The ${windows.length} newest windows: ${wholeNumber.format(carts)} carts, ` +
    `${wholeNumber.format(abandoned)} abandoned (${percent(share(abandoned, carts))}).`;
  drawChart(section.querySelector("[data-chart]"), "Cart abandonment rate", windows);
}

const RANKINGS = {
  views: (row) => [wholeNumber.format(row.views), percent(row.cart_to_view_rate)],
  units: (row) => [wholeNumber.format(row.units), percent(row.purchase_to_view_rate)],
  revenue: (row) => [money(row.revenue_minor), wholeNumber.format(row.units)],
};

function drawTopProducts() {
  const section = byId("top_products");
  const value = shown("top_products");
  if (!value) return;
  drawHead(section, value);
  for (const table of section.querySelectorAll("[data-ranking]")) {
    const ranking = table.dataset.ranking;
    const rows = value.rows.filter((row) => row.ranked_by === ranking).sort((a, b) => a.rank - b.rank);
    const body = table.tBodies[0];
    while (body.rows.length > rows.length) body.deleteRow(-1);
    rows.forEach((row, index) => {
      const line = body.rows[index] ?? body.insertRow();
      while (line.cells.length < 4) line.insertCell();
      const name = products.get(row.product_id) ?? `Product ${row.product_id}`;
      [String(row.rank), name, ...RANKINGS[ranking](row)].forEach((text, cell) => show(line.cells[cell], text));
      line.cells[1].title = name;
    });
  }
}

function svg(name, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text != null) element.textContent = text;
  return element;
}

function drawChart(chart, title, windows) {
  const column = chart.dataset.chart;
  const [width, height] = [chart.clientWidth || 480, 150];
  const [left, right, top, bottom] = [44, 8, 10, 22];
  const points = windows
    .filter((value) => value.rows[0]?.[column] != null)
    .map((value) => ({ at: Date.parse(value.window_end), rate: value.rows[0][column], final: value.is_final }));
  chart.setAttribute("viewBox", `0 0 ${width} ${height}`);
  if (points.length === 0) {
    chart.setAttribute("aria-label", `${title} by window: no data yet`);
    return chart.replaceChildren();
  }
  const highest = Math.max(...points.map((point) => point.rate));
  // A round top above the highest point; the axis starts at zero so that heights can be compared.
  const ceiling = [0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1].find((step) => highest <= step) ?? highest;
  const [first, last] = [points[0].at, points.at(-1).at];
  const x = (at) => left + (last === first ? 0.5 : (at - first) / (last - first)) * (width - left - right);
  const y = (rate) => height - bottom - (rate / ceiling) * (height - top - bottom);
  const parts = [0, 0.5, 1].flatMap((part) => [
    svg("line", { class: "grid", x1: left, x2: width - right, y1: y(part * ceiling), y2: y(part * ceiling) }),
    svg("text", { x: left - 6, y: y(part * ceiling) + 4, "text-anchor": "end" }, `${+(part * ceiling * 100).toFixed(1)} %`),
  ]);
  const label = (at) => clockTime(new Date(at)).slice(0, 5);
  parts.push(svg("text", { x: left, y: height - 6 }, label(first)));
  if (last > first) parts.push(svg("text", { x: width - right, y: height - 6, "text-anchor": "end" }, label(last)));
  const path = points.map((point, i) => `${i ? "L" : "M"}${x(point.at).toFixed(1)} ${y(point.rate).toFixed(1)}`);
  parts.push(svg("path", { class: "line", d: path.join("") }));
  for (const point of points) {
    const attributes = { cx: x(point.at).toFixed(1), cy: y(point.rate).toFixed(1), r: 3 };
    parts.push(svg("circle", point.final ? { ...attributes, class: "final" } : attributes));
  }
  chart.replaceChildren(...parts);
  chart.setAttribute(
    "aria-label",
    `${title} by window, ${label(first)} to ${label(last)} UTC: from ${percent(points[0].rate)} to ${percent(points.at(-1).rate)}`,
  );
}

let updatedAt = null;
function drawFreshness() {
  for (const { windows } of Object.values(state)) {
    for (const value of windows.values()) {
      if (!updatedAt || value.updated_at > updatedAt) updatedAt = value.updated_at;
    }
  }
  if (!updatedAt) return;
  const [at, element] = [new Date(updatedAt), byId("updated")];
  element.dateTime = updatedAt;
  element.textContent = at.toLocaleTimeString();
  byId("age").textContent = `(${Math.max(0, (Date.now() - at) / 1000).toFixed(1)} s ago)`;
}

document.addEventListener("visibilitychange", listenToAll);
window.addEventListener("resize", () => Object.keys(METRICS).forEach(changed));
setInterval(drawFreshness, 250);
listenToAll();
loadProducts();
