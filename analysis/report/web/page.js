"use strict";
// Film and activity on one clock: the step whose frame is shown. The film's own time moves the cursor, never the reverse.

const report = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
const FPS = report.fps;
const GUTTER = 168, MARGIN = 74; // pixels beside a track's plot, for names and for values at the cursor
const PALETTE = ["#3b7dd8", "#e07b28", "#2f9e62", "#b8449c", "#d1a51c", "#16a3b4", "#c8434b", "#7a63d0", "#8a9a2b", "#a0714f",
  "#5f8ea8", "#d77fa7"];
const PAW_COLORS = ["#3b7dd8", "#16a3b4", "#e07b28", "#d1a51c"];
const colorOf = (label) => (label < 0 ? "#9aa1a9" : PALETTE[label % PALETTE.length]);
let styles = {}; // colours of the theme, by name
const css = (name) => (styles[name] ??= getComputedStyle(document.documentElement).getPropertyValue(name).trim());
const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
const TYPES = { u1: Uint8Array, i1: Int8Array, i2: Int16Array, f4: Float32Array };

function bytesOf(text) {
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}
function arrayOf(packed) { // {type, data, scale, offset, missing}: base64 of little-endian numbers
  const values = new TYPES[packed.type](bytesOf(packed.data).buffer);
  if (packed.scale === undefined) return values;
  return Float32Array.from(values, (v) => (v === packed.missing ? NaN : v * packed.scale + packed.offset));
}

const state = { exhibit: null, data: null, step: -1, playing: false, rate: 1, span: 5, layer: "", skeleton: false, yaw: -0.6, pitch: 0.5 };
const unpacked = new Map(), films = new Map();

function unpack(exhibit) {
  if (!unpacked.has(exhibit)) {
    const series = exhibit.series.map((s) => ({ ...s, values: arrayOf(s.values) }));
    const units = exhibit.units.map((u) => ({ ...u, values: arrayOf(u.values) }));
    const paths = Object.fromEntries(Object.entries(exhibit.paths).map(([layer, p]) =>
      [layer, { shares: p.shares, path: arrayOf(p.path), cloud: arrayOf(p.cloud) }]));
    unpacked.set(exhibit, { series, units, paths, labels: arrayOf(exhibit.labels), standing: exhibit.standing && arrayOf(exhibit.standing),
      pose: arrayOf(exhibit.pose) });
  }
  return unpacked.get(exhibit);
}

// ---- clocks: what is shown moves the cursor ------------------------------------------------------------------------

const video = find("film");
const filmClock = {
  wanted: null, // the last step that was asked for while a seek was under way
  seek(step) {
    if (video.seeking) { this.wanted = step; return; }
    this.wanted = null;
    video.currentTime = (step + 0.5) / FPS; // the middle of the frame: no rounding can miss it
  },
  play() { if (state.step >= last()) this.seek(0); video.playbackRate = state.rate; return video.play(); },
  pause() { video.pause(); },
};
const skeletonClock = {
  timer: 0, begun: 0, from: 0,
  seek(step) { show(step); this.from = step; this.begun = performance.now(); },
  play() {
    this.seek(state.step >= last() ? 0 : state.step);
    const tick = (time) => {
      const step = this.from + Math.floor(Math.max(0, time - this.begun) / 1000 * FPS * state.rate);
      show(Math.min(step, last()));
      if (step >= last()) pause(); else this.timer = requestAnimationFrame(tick);
    };
    this.timer = requestAnimationFrame(tick);
    return Promise.resolve();
  },
  pause() { cancelAnimationFrame(this.timer); },
};
const clock = () => (state.filmReady ? filmClock : skeletonClock);
const last = () => state.exhibit.steps - 1;
const seek = (step) => clock().seek(clamp(Math.round(step), 0, last()));

function frameShown(mediaTime) { show(clamp(Math.round(mediaTime * FPS), 0, last())); }
if ("requestVideoFrameCallback" in HTMLVideoElement.prototype) {
  const next = (now, frame) => { frameShown(frame.mediaTime); video.requestVideoFrameCallback(next); };
  video.requestVideoFrameCallback(next);
} else {
  video.addEventListener("timeupdate", () => frameShown(Math.floor(video.currentTime * FPS + 1e-3) / FPS));
}
video.addEventListener("seeked", () => {
  if (filmClock.wanted !== null) { filmClock.seek(filmClock.wanted); return; }
  frameShown(Math.floor(video.currentTime * FPS + 1e-3) / FPS);
});
video.addEventListener("ended", () => pause());
video.addEventListener("error", () => { if (video.src) noFilm("This browser cannot play the film (VP9 in WebM); the skeleton shows the recorded pose."); });

function play() {
  state.playing = true;
  clock().play().catch(() => { state.playing = false; marks(); });
  marks();
}
function pause() { state.playing = false; clock().pause(); marks(); }
function marks() {
  find("play").firstChild.textContent = state.playing ? "❚❚" : "▶";
  find("play").setAttribute("aria-pressed", String(state.playing));
}
function noFilm(reason) {
  pause();
  state.filmReady = false;
  find("film-note").textContent = reason;
  setView(true);
  find("view").disabled = true;
  skeletonClock.seek(Math.max(state.step, 0));
}

// ---- an episode ----------------------------------------------------------------------------------------------------

function filmOf(exhibit) {
  if (!films.has(exhibit.film)) {
    const bytes = bytesOf(find(exhibit.film).textContent.trim());
    films.set(exhibit.film, URL.createObjectURL(new Blob([bytes], { type: "video/webm" })));
  }
  return films.get(exhibit.film);
}

function open(index) {
  if (state.playing) pause();
  state.exhibit = report.exhibits[index];
  state.data = unpack(state.exhibit);
  state.step = -1;
  find("exhibit").value = String(index);
  find("film-note").textContent = state.exhibit.note;
  find("view").disabled = false;
  filmClock.wanted = null;
  find("film-caption").textContent = state.exhibit.caption;
  const layers = Object.keys(state.data.paths);
  if (!layers.includes(state.layer)) state.layer = state.exhibit.layer;
  find("layer").replaceChildren(...layers.map((name) => new Option(name, name, false, name === state.layer)));
  document.querySelector(".path").hidden = !layers.length; // the stage that finds paths may have failed
  makeTracks();
  makeLegend();
  if (state.exhibit.film) {
    state.filmReady = true;
    setView(state.skeleton);
    video.src = filmOf(state.exhibit);
    video.addEventListener("loadeddata", () => filmClock.seek(0), { once: true });
  } else {
    video.removeAttribute("src");
    noFilm(state.exhibit.note);
  }
}
function setView(skeleton) {
  state.skeleton = skeleton;
  find("skeleton").style.display = skeleton ? "block" : "none";
  find("view").textContent = skeleton ? "film" : "skeleton";
  redraw();
}

function show(step) {
  if (step === state.step) return;
  state.step = step;
  redraw();
}
let due = false;
function redraw() { if (!due) { due = true; requestAnimationFrame(draw); } }

// ---- drawing -------------------------------------------------------------------------------------------------------

function sized(canvas) { // the context in CSS pixels
  const ratio = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect();
  const width = Math.round(box.width * ratio), height = Math.round(box.height * ratio);
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
  const g = canvas.getContext("2d");
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, box.width, box.height);
  return [g, box.width, box.height];
}
function windowShown() { // first and last step in view
  const steps = state.exhibit.steps, span = state.span ? Math.min(Math.round(state.span * FPS), steps) : steps;
  const first = clamp(Math.max(state.step, 0) - Math.round(span / 2), 0, steps - span);
  return [first, first + span];
}

const tracks = [];
function makeTracks() {
  tracks.length = 0;
  find("tracks").replaceChildren();
  const data = state.data;
  track("Episode", 34, drawOverview, "The whole episode: its behaviours in colour, the framed part is what the tracks below show.", true);
  track("Behaviour", 26, drawLabels, "What the rat does: regions of a map of its postures' spectra. The legend below names them; grey has no label.");
  if (data.standing) track("Gait", 66, drawGait, "Gait diagram: bars are paws that are planted (nearly still in the world).");
  if (data.series.length) track("Body and critic", 34 * data.series.length, (g, w, h, x, range) => drawTraces(g, w, h, x, range, data.series, css("--ink")),
    "Each trace from its least to its greatest value in this episode; on the right, its value at the cursor.");
  if (data.units.length) track("Units", 25 * data.units.length, (g, w, h, x, range) => drawTraces(g, w, h, x, range, data.units, css("--accent")),
    state.exhibit.unitsCaption);
}
function track(name, height, paint, caption, whole = false) {
  const figure = document.createElement("figure"), canvas = document.createElement("canvas"), told = document.createElement("figcaption");
  figure.className = "track";
  canvas.style.height = `${height}px`;
  canvas.tabIndex = 0;
  const attributes = { role: "slider", "aria-label": `${name}: time`, "aria-valuemin": 0, "aria-valuemax": last(), "data-track": name };
  for (const [key, value] of Object.entries(attributes)) canvas.setAttribute(key, value);
  const title = document.createElement("b");
  title.textContent = `${name}. `;
  told.append(title, caption);
  figure.append(canvas, told);
  find("tracks").append(figure);
  const entry = { canvas, paint, whole };
  tracks.push(entry);
  const seekTo = (event) => {
    const box = canvas.getBoundingClientRect(), share = (event.clientX - box.left - GUTTER) / (box.width - GUTTER - MARGIN);
    const [first, stop] = entry.held || (whole ? [0, state.exhibit.steps] : windowShown());
    seek(Math.floor(first + clamp(share, 0, 1) * (stop - first)));
  };
  canvas.addEventListener("pointerdown", (event) => {
    entry.held = whole ? [0, state.exhibit.steps] : windowShown(); // what is under the pointer stays while it drags
    canvas.setPointerCapture(event.pointerId);
    seekTo(event);
  });
  canvas.addEventListener("pointermove", (event) => { if (entry.held) seekTo(event); });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { entry.held = null; redraw(); });
}
function drawTrack(entry) {
  const [g, width, height] = sized(entry.canvas), plot = width - GUTTER - MARGIN;
  const range = entry.held || (entry.whole ? [0, state.exhibit.steps] : windowShown());
  const x = (step) => GUTTER + (step - range[0]) / (range[1] - range[0]) * plot;
  g.font = "12px system-ui, sans-serif";
  g.textBaseline = "middle";
  g.save();
  entry.paint(g, width, height, x, range);
  g.restore();
  const at = x(state.step + 0.5);
  g.strokeStyle = css("--cursor");
  g.lineWidth = 1.5;
  g.beginPath();
  g.moveTo(at, 0);
  g.lineTo(at, height);
  g.stroke();
  entry.canvas.setAttribute("aria-valuenow", state.step);
  entry.canvas.setAttribute("aria-valuetext", `${(state.step / FPS).toFixed(2)} s, ${labelName(state.step)}`);
}
function gutterText(g, text, y, color) {
  g.fillStyle = color || css("--quiet");
  g.textAlign = "right";
  g.fillText(text, GUTTER - 8, y, GUTTER - 14);
}
function bars(g, range, x, top, height) { // runs of one label
  const labels = state.data.labels;
  for (let i = range[0]; i < range[1];) {
    let j = i + 1;
    while (j < range[1] && labels[j] === labels[i]) j++;
    g.fillStyle = colorOf(labels[i]);
    g.fillRect(x(i), top, Math.max(x(j) - x(i) - 0.5, 0.5), height);
    i = j;
  }
}
function drawOverview(g, width, height, x) {
  gutterText(g, "episode", height / 2 - 5);
  bars(g, [0, state.exhibit.steps], x, 4, 14);
  const [first, stop] = windowShown();
  g.strokeStyle = css("--ink");
  g.lineWidth = 1.5;
  g.strokeRect(x(first), 2, x(stop) - x(first), 18);
  ticks(g, x, [0, state.exhibit.steps], height - 7);
}
function ticks(g, x, range, y) {
  const seconds = (range[1] - range[0]) / FPS, every = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60].find((e) => seconds / e <= 10) || 120;
  g.fillStyle = css("--quiet");
  g.textAlign = "center";
  g.font = "11px system-ui, sans-serif";
  for (let t = Math.ceil(range[0] / FPS / every) * every; t * FPS < range[1] - 1; t += every) g.fillText(`${+t.toFixed(2)} s`, x(t * FPS), y);
}
function drawLabels(g, width, height, x, range) {
  gutterText(g, "behaviour", height / 2);
  bars(g, range, x, 3, height - 6);
}
function drawGait(g, width, height, x, range) {
  const row = (height - 14) / 4, standing = state.data.standing;
  report.paws.forEach((paw, limb) => {
    gutterText(g, paw, row * (limb + 0.5));
    g.fillStyle = css("--faint");
    g.fillRect(GUTTER, row * limb + 2, width - GUTTER - MARGIN, row - 4);
    g.fillStyle = PAW_COLORS[limb];
    for (let i = range[0]; i < range[1];) {
      let j = i;
      while (j < range[1] && standing[j] >> limb & 1) j++;
      if (j > i) g.fillRect(x(i), row * limb + 2, x(j) - x(i), row - 4);
      i = Math.max(j, i + 1);
    }
    const planted = state.step >= 0 && standing[state.step] >> limb & 1;
    g.fillStyle = css(planted ? "--ink" : "--quiet");
    g.textAlign = "left";
    g.fillText(planted ? "planted" : "swings", width - MARGIN + 8, row * (limb + 0.5));
  });
  ticks(g, x, range, height - 6);
}
function drawTraces(g, width, height, x, range, traces, color) {
  const row = height / traces.length;
  traces.forEach((trace, i) => {
    const top = row * i + 3, tall = row - 6, spread = trace.high - trace.low || 1;
    const y = (v) => top + tall * (1 - (v - trace.low) / spread);
    gutterText(g, trace.name, top + tall / 2, css("--ink"));
    g.fillStyle = css("--faint");
    g.fillRect(GUTTER, top, width - GUTTER - MARGIN, tall);
    if (trace.low < 0 && trace.high > 0) {
      g.strokeStyle = css("--line");
      g.lineWidth = 1;
      g.beginPath(); g.moveTo(GUTTER, y(0)); g.lineTo(width - MARGIN, y(0)); g.stroke();
    }
    g.strokeStyle = color;
    g.lineWidth = 1.3;
    g.beginPath();
    for (let k = range[0], drawing = false; k < range[1]; k++) { // a gap where the number is missing
      const known = Number.isFinite(trace.values[k]);
      if (known) g[drawing ? "lineTo" : "moveTo"](x(k + 0.5), y(trace.values[k]));
      drawing = known;
    }
    g.stroke();
    g.fillStyle = css("--ink");
    g.textAlign = "left";
    const now = trace.values[state.step];
    const told = Number.isFinite(now) ? `${now.toPrecision(3)} ${trace.unit}` : "–";
    if (now !== undefined) g.fillText(told, width - MARGIN + 8, top + tall / 2, MARGIN - 10);
  });
}

// ---- population ----------------------------------------------------------------------------------------------------

const trajectory = find("trajectory");
function project(width, height) { // (pc1, pc2, pc3) to pixels; the path fills the picture
  const { path } = state.data.paths[state.layer];
  const reach = new Float32Array(path.length / 3).map((_, i) => Math.hypot(path[3 * i], path[3 * i + 1], path[3 * i + 2])).sort();
  const radius = Math.max(reach[Math.floor(0.97 * (reach.length - 1))], 1e-9); // the start of an episode may lie far out
  const size = 0.44 * Math.min(width, height) / radius;
  const [cy, sy, cp, sp] = [Math.cos(state.yaw), Math.sin(state.yaw), Math.cos(state.pitch), Math.sin(state.pitch)];
  return { radius, at(a, b, c) {
    const right = cy * a + sy * c, depth = cy * c - sy * a;
    return [width / 2 + size * right, height / 2 - size * (cp * b - sp * depth)];
  } };
}
function drawTrajectory() {
  const [g, width, height] = sized(trajectory), { path, cloud, shares } = state.data.paths[state.layer];
  const projection = project(width, height), labels = state.data.labels, steps = state.exhibit.steps;
  const point = (i) => projection.at(path[3 * i], path[3 * i + 1], path[3 * i + 2]);
  g.fillStyle = css("--cloud");
  for (let i = 0; i < cloud.length; i += 3) {
    const [px, py] = projection.at(cloud[i], cloud[i + 1], cloud[i + 2]);
    g.fillRect(px - 0.8, py - 0.8, 1.6, 1.6);
  }
  g.lineWidth = 1;
  g.globalAlpha = 0.5;
  for (let i = 0; i + 1 < steps;) {
    g.strokeStyle = colorOf(labels[i]);
    g.beginPath();
    g.moveTo(...point(i));
    const label = labels[i];
    do { i++; g.lineTo(...point(i)); } while (i + 1 < steps && labels[i] === label);
    g.stroke();
  }
  const tail = Math.round(FPS / 2), now = Math.max(state.step, 0);
  for (let i = Math.max(0, now - tail); i < now; i++) {
    g.globalAlpha = 1 - 0.9 * (now - i) / tail;
    g.strokeStyle = css("--ink");
    g.lineWidth = 1 + 2.5 * (1 - (now - i) / tail);
    g.beginPath(); g.moveTo(...point(i)); g.lineTo(...point(i + 1)); g.stroke();
  }
  g.globalAlpha = 1;
  const [px, py] = point(now);
  g.fillStyle = css("--cursor");
  g.strokeStyle = css("--card");
  g.lineWidth = 2;
  g.beginPath(); g.arc(px, py, 6, 0, 7); g.fill(); g.stroke();
  axes(g, projection, height);
  find("shares").textContent = `PC1 to PC${shares.length}: ${shares.map((s) => `${(100 * s).toFixed(0)} %`).join(", ")} of the variance`;
}
function axes(g, projection, height) {
  const length = projection.radius * 0.22, [ox, oy] = projection.at(0, 0, 0), origin = [46, height - 40];
  g.font = "11px system-ui, sans-serif";
  g.textAlign = "center";
  g.textBaseline = "middle";
  ["PC1", "PC2", "PC3"].forEach((name, i) => {
    const unit = [0, 0, 0];
    unit[i] = length;
    const [ex, ey] = projection.at(...unit), dx = ex - ox, dy = ey - oy;
    g.strokeStyle = g.fillStyle = css("--quiet");
    g.lineWidth = 1.2;
    g.beginPath(); g.moveTo(...origin); g.lineTo(origin[0] + dx, origin[1] + dy); g.stroke();
    g.fillText(name, origin[0] + dx * 1.3 + (Math.hypot(dx, dy) < 8 ? 10 : 0), origin[1] + dy * 1.3);
  });
}
let turning = null;
trajectory.addEventListener("pointerdown", (event) => {
  turning = { x: event.clientX, y: event.clientY, yaw: state.yaw, pitch: state.pitch, moved: false };
  trajectory.setPointerCapture(event.pointerId);
});
trajectory.addEventListener("pointermove", (event) => {
  if (!turning) return;
  const dx = event.clientX - turning.x, dy = event.clientY - turning.y;
  if (Math.hypot(dx, dy) > 4) turning.moved = true;
  if (turning.moved) turn(turning.yaw + dx / 120, turning.pitch + dy / 120);
});
trajectory.addEventListener("pointerup", (event) => {
  if (turning && !turning.moved) seekOnPath(event);
  turning = null;
});
trajectory.addEventListener("keydown", (event) => {
  const by = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] }[event.key];
  if (by && !event.shiftKey) { event.preventDefault(); event.stopPropagation(); turn(state.yaw + by[0], state.pitch + by[1]); }
});
function turn(yaw, pitch) { state.yaw = yaw; state.pitch = clamp(pitch, -1.57, 1.57); redraw(); }
function seekOnPath(event) {
  const box = trajectory.getBoundingClientRect(), { path } = state.data.paths[state.layer], projection = project(box.width, box.height);
  let best = -1, nearest = 24; // pixels
  for (let i = 0; i < state.exhibit.steps; i++) {
    const [px, py] = projection.at(path[3 * i], path[3 * i + 1], path[3 * i + 2]);
    const apart = Math.hypot(px - event.clientX + box.left, py - event.clientY + box.top);
    if (apart < nearest) { nearest = apart; best = i; }
  }
  if (best >= 0) seek(best);
}

// ---- skeleton, legend, words ---------------------------------------------------------------------------------------

function drawSkeleton() {
  const [g, width, height] = sized(find("skeleton")), { pose } = state.data, parts = report.parts.length;
  g.fillStyle = "#0d1013";
  g.fillRect(0, 0, width, height);
  const at = 3 * parts * Math.max(state.step, 0), size = Math.min(width / 0.42, height / 0.3);
  const ahead = Math.atan2(pose[at + 3 * report.front + 1] - pose[at + 3 * report.rear + 1], pose[at + 3 * report.front] - pose[at + 3 * report.rear]);
  const [c, s] = [Math.cos(-ahead), Math.sin(-ahead)];
  const place = (i) => { // seen from its right side, a little from above
    const [x, y, z] = [pose[at + 3 * i], pose[at + 3 * i + 1], pose[at + 3 * i + 2]];
    return [width / 2 + size * (c * x - s * y), height * 0.78 - size * (z + 0.3 * (s * x + c * y))];
  };
  g.strokeStyle = "#39424c";
  g.beginPath(); g.moveTo(0, height * 0.78); g.lineTo(width, height * 0.78); g.stroke();
  g.lineCap = "round";
  for (const [one, other] of report.edges) {
    g.strokeStyle = /_L$/.test(report.parts[other]) ? "#6cb2ff" : /_R$/.test(report.parts[other]) ? "#ffb45e" : "#e9ecef";
    g.lineWidth = /^vertebra_C|finger|toe/.test(report.parts[other]) ? 2 : 4;
    g.beginPath(); g.moveTo(...place(one)); g.lineTo(...place(other)); g.stroke();
  }
}
const labelName = (step) => {
  const label = state.data.labels[step];
  return label === undefined || label < 0 ? "no label" : state.exhibit.names[label];
};
function makeLegend() {
  const present = [...new Set(state.data.labels)].filter((label) => label >= 0).sort((a, b) => a - b);
  find("legend").replaceChildren(...present.map((label) => {
    const button = document.createElement("button"), swatch = document.createElement("i");
    swatch.style.background = colorOf(label);
    button.type = "button";
    button.dataset.label = label;
    button.append(swatch, state.exhibit.names[label]);
    button.title = "Seek to its next bout";
    button.addEventListener("click", () => seekBout(1, label));
    return button;
  }));
}
function seekBout(direction, wanted) { // the next begin of a bout: of any label, or of one
  const labels = state.data.labels, steps = state.exhibit.steps;
  const begins = (i) => (i === 0 || labels[i] !== labels[i - 1]) && (wanted === undefined || labels[i] === wanted);
  for (let k = 1; k <= steps; k++) {
    const i = (state.step + direction * k + steps) % steps;
    if (begins(i)) { seek(i); return; }
  }
}

function draw() {
  due = false;
  if (!state.exhibit) return;
  for (const entry of tracks) drawTrack(entry);
  if (state.data.paths[state.layer]) drawTrajectory();
  if (state.skeleton) drawSkeleton();
  const step = Math.max(state.step, 0);
  find("clock").textContent = `${(step / FPS).toFixed(2)} s · step ${step} of ${last()}`;
  find("now").textContent = labelName(step);
  find("now").style.color = colorOf(state.data.labels[step]);
  for (const button of find("legend").children) button.setAttribute("aria-current", String(+button.dataset.label === state.data.labels[step]));
}

// ---- results -------------------------------------------------------------------------------------------------------

const SHOWN = 1000; // rows of a table at a time: more take seconds to lay out
const COLUMNS = ["session", "task", "layer", "measure", "about", "value", "95 % interval", "over", "control", "by chance", "p", "q", "beaten"];
function number(value) { return value === null ? "" : Math.abs(value) >= 1e4 || (value !== 0 && Math.abs(value) < 1e-3) ? value.toExponential(1) : String(+value.toPrecision(3)); }
function cell(text, kind) { const td = document.createElement("td"); td.textContent = text; if (kind) td.className = kind; return td; }
function rowOf(r) {
  const tr = document.createElement("tr");
  tr.append(cell(r.session), cell(r.task), cell(r.layer), cell(r.measure, "wide"), cell(r.variable, "wide"));
  const why = (columns) => { const td = cell(r.reason, "no"); td.colSpan = columns; tr.append(td); return tr; };
  if (r.value === null) return why(8);
  const drawn = r.control && r.p !== null;
  const interval = r.low === null ? "" : `${number(r.low)} to ${number(r.high)}`;
  tr.append(cell(number(r.value), "number"), cell(interval, "number"), cell(r.low === null ? "" : r.interval_over), cell(r.control));
  if (r.reason) return why(4);
  tr.append(cell(drawn ? `${number(r.null_median)} (${number(r.null_low)} to ${number(r.null_high)})` : "", "number"),
    cell(drawn ? number(r.p) : "", "number"), cell(drawn ? number(r.q) : "", "number"), cell(drawn ? (r.beat ? "✓" : "no") : ""));
  return tr;
}
function makeTable({ title, rows, cut }) {
  const holder = document.createDocumentFragment(), filter = document.createElement("div"), input = document.createElement("input");
  filter.className = "filter";
  input.type = "search";
  input.placeholder = `Filter ${rows.length} rows, such as: policy.1 speed`;
  input.setAttribute("aria-label", "Filter the rows");
  const told = document.createElement("p");
  told.className = "quiet";
  told.setAttribute("role", "status");
  filter.append(input, told);
  const box = document.createElement("div"), table = document.createElement("table"), body = document.createElement("tbody");
  box.className = "table";
  box.tabIndex = 0;
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", `Table: ${title}`);
  const head = table.createTHead().insertRow();
  for (const name of COLUMNS) { const th = document.createElement("th"); th.scope = "col"; th.textContent = name; head.append(th); }
  const fill = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (r) => [r.session, r.task, r.layer, r.measure, r.variable, r.control, r.reason].join(" ").toLowerCase();
    const found = rows.filter((r) => words.every((word) => text(r).includes(word))), more = found.length > SHOWN;
    body.replaceChildren(...found.slice(0, SHOWN).map(rowOf));
    told.textContent = [cut, more ? `${SHOWN} of ${found.length} rows are shown: filter for the others.` : ""].filter(Boolean).join(" ");
    told.hidden = !told.textContent;
  };
  input.addEventListener("input", fill);
  fill();
  table.append(body);
  box.append(table);
  holder.append(filter, box);
  return holder;
}
function makeResults() {
  for (const stage of JSON.parse(find("results-data").textContent)) {
    const details = document.createElement("details"), summary = document.createElement("summary"), note = document.createElement("span");
    summary.textContent = stage.title;
    note.className = "quiet";
    const counted = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;
    note.textContent = `${counted(stage.pictures.length, "figure")}, ${counted(stage.rows.length, "row")}`;
    summary.append(note);
    details.append(summary);
    details.addEventListener("toggle", () => {
      if (details.childElementCount > 1) return;
      const gallery = document.createElement("div");
      gallery.className = "gallery";
      for (const picture of stage.pictures) {
        const figure = document.createElement("figure"), image = document.createElement("img"), told = document.createElement("figcaption");
        if (picture.png) image.src = `data:image/png;base64,${picture.png}`;
        image.hidden = !picture.png;
        image.alt = picture.caption;
        image.addEventListener("load", () => figure.classList.toggle("broad", image.naturalWidth > 880));
        told.textContent = (report.several ? `${picture.session}: ` : "") + picture.caption;
        figure.append(image, told);
        gallery.append(figure);
      }
      details.append(gallery, makeTable(stage));
    });
    find("results").append(details);
  }
}

// ---- controls ------------------------------------------------------------------------------------------------------

function theme(name) { document.documentElement.dataset.theme = name; styles = {}; redraw(); }
theme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
const toggleTheme = () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
const toggle = () => (state.playing ? pause() : play());
function cycle(direction) {
  const count = report.exhibits.length;
  open((report.exhibits.indexOf(state.exhibit) + direction + count) % count);
}
find("exhibit").replaceChildren(...report.exhibits.map((exhibit, i) => new Option(exhibit.title, i)));
find("exhibit").addEventListener("change", (event) => open(+event.target.value));
find("layer").addEventListener("change", (event) => { state.layer = event.target.value; redraw(); });
find("span").addEventListener("change", (event) => { state.span = +event.target.value; redraw(); });
find("rate").addEventListener("change", (event) => {
  state.rate = +event.target.value;
  video.playbackRate = state.rate;
  if (state.playing && !state.filmReady) { pause(); play(); }
});
find("play").addEventListener("click", toggle);
find("back").addEventListener("click", () => seek(state.step - 1));
find("forth").addEventListener("click", () => seek(state.step + 1));
find("view").addEventListener("click", () => setView(!state.skeleton));
find("theme").addEventListener("click", toggleTheme);
const KEYS = {
  " ": toggle, ArrowLeft: (e) => seek(state.step - (e.shiftKey ? 10 : 1)), ArrowRight: (e) => seek(state.step + (e.shiftKey ? 10 : 1)),
  Home: () => seek(0), End: () => seek(last()), n: () => seekBout(1), p: () => seekBout(-1), "[": () => cycle(-1), "]": () => cycle(1),
  s: () => state.filmReady && setView(!state.skeleton), t: toggleTheme,
};
const SCROLLING = [" ", "ArrowLeft", "ArrowRight", "Home", "End"];
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  if (SCROLLING.includes(event.key) && event.target.closest(".table")) return; // a table that has the focus scrolls by them
  if (event.key === " " && /^(BUTTON|SUMMARY)$/.test(event.target.tagName)) return; // space presses what has the focus
  event.preventDefault();
  KEYS[event.key](event);
});
new ResizeObserver(redraw).observe(find("player"));
open(0);
setTimeout(makeResults); // the player comes first
document.body.dataset.ready = "true";
