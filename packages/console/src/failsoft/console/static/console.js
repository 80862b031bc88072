// What pages do besides showing: theme, times, keys, selection, and asking for what is new.
// Everything is reachable without it. Nothing of a job is ever put into markup here.
(() => {
  "use strict";
  const root = document.documentElement;
  const $ = (selector, from = document) => from.querySelector(selector);
  const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
  const kept = {
    get: (name) => { try { return localStorage.getItem(`failsoft.${name}`); } catch { return null; } },
    set: (name, value) => { try { localStorage.setItem(`failsoft.${name}`, value); } catch { /* none */ } },
  };

  // Theme: what the system says, until it is chosen.
  const theme = kept.get("theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  const isDark = () => root.dataset.theme
    ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;

  // Times: UTC as served; local on request. The text stays relative, the title is absolute.
  const showTimes = () => {
    const local = kept.get("times") === "local";
    for (const each of $$("time[datetime]")) {
      const moment = new Date(each.dateTime);
      if (Number.isNaN(moment.valueOf())) continue;
      each.title = local ? moment.toLocaleString() : moment.toISOString().replace("T", " ").replace(/\..*/, " UTC");
      if (each.dataset.clock !== undefined) {
        each.textContent = local ? moment.toLocaleTimeString([], { hour12: false }) : moment.toISOString().slice(11, 19);
      }
    }
    const button = $("#times");
    if (button) button.textContent = local ? "local" : "UTC";
  };

  // Live: an event, or else every few seconds; never while something is open, typed or selected.
  let paused = false;
  let lastNews = 0;
  let pending = false;
  const view = () => $("#view");
  const isBusy = () => paused || document.hidden || $$("#view details.menu[open]").length > 0
    || $$("#view input[type=checkbox]:checked").length > 0
    || (document.activeElement && document.activeElement.closest("#view")
      && document.activeElement.matches("input, textarea, select"))
    || $("dialog[open]") !== null;
  const refresh = () => {
    if (!view() || !view().hasAttribute("hx-get")) return;
    if (isBusy()) { pending = true; return; }
    pending = false;
    htmx.trigger(view(), "refresh");
  };
  const shows = () => {
    const sign = $("#live-sign");
    if (!sign) return;
    const how = paused ? "off" : Date.now() - lastNews < 40000 ? "on" : "poll";
    if (sign.dataset.live !== how) {
      sign.dataset.live = how;
      sign.textContent = how === "off" ? "paused" : "live";
      sign.title = how === "poll" ? "polls every 3 seconds" : how === "on" ? "news as it comes" : "p goes on";
    }
  };
  document.addEventListener("changed", refresh);
  for (const name of ["joined", "alive", "changed"]) {
    document.addEventListener(name, () => { lastNews = Date.now(); shows(); });
  }
  setInterval(() => {
    shows();
    if (Date.now() - lastNews >= 40000 || pending) refresh();
  }, 3000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  document.addEventListener("htmx:config:request", (event) => {
    const ctx = event.detail.ctx;
    if (ctx && ctx.sourceElement === view() && view().dataset.tag) {
      ctx.request.headers["If-None-Match"] = view().dataset.tag;
    }
  });
  document.addEventListener("htmx:after:request", (event) => {
    const ctx = event.detail.ctx;
    const raw = ctx && ctx.response && ctx.response.raw;
    if (raw && ctx.sourceElement === view() && raw.headers.get("ETag")) {
      view().dataset.tag = raw.headers.get("ETag");
    }
  });
  document.addEventListener("htmx:after:swap", () => { showTimes(); drawChart(); markRow(); showSelection(); });

  // The chart of the overview.
  let plot = null;
  const drawChart = () => {
    const box = $("#chart"), data = $("#chart-data");
    if (!box || !data || typeof uPlot === "undefined") return;
    if (box.dataset.drawn === data.textContent + isDark() + box.clientWidth + kept.get("times")) return;
    box.dataset.drawn = data.textContent + isDark() + box.clientWidth + kept.get("times");
    if (plot) plot.destroy();
    const series = JSON.parse(data.textContent);
    if (!series[0] || series[0].length < 2) return;
    const style = getComputedStyle(root);
    const colour = (name) => {
      const probe = document.createElement("i");
      probe.className = `state ${name}`;
      document.body.append(probe);
      const found = getComputedStyle(probe).color;
      probe.remove();
      return found;
    };
    const axis = { stroke: colour(""), grid: { stroke: isDark() ? "#272e39" : "#e4e8ee", width: 1 }, ticks: { show: false } };
    const line = (label, name) => ({ label, stroke: colour(name), width: 2, fill: colour(name).replace("rgb(", "rgba(").replace(")", ", .08)"), points: { show: false } });
    const two = (number) => String(number).padStart(2, "0");
    const isLong = series[0].at(-1) - series[0][0] > 36 * 3600;
    const clock = (at) => {
      const it = new Date(at * 1000), local = kept.get("times") === "local";
      return isLong
        ? `${two((local ? it.getMonth() : it.getUTCMonth()) + 1)}-${two(local ? it.getDate() : it.getUTCDate())}`
        : `${two(local ? it.getHours() : it.getUTCHours())}:${two(local ? it.getMinutes() : it.getUTCMinutes())}`;
    };
    plot = new uPlot({
      width: box.clientWidth, height: 180, cursor: { y: false }, legend: { live: true },
      series: [{ label: "at", value: (_, at) => (at == null ? "–" : clock(at)) }, line("succeeded", "succeeded"), line("failed", "failed"), line("cancelled", "off")],
      axes: [{ ...axis, values: (_, ticks) => ticks.map(clock) }, { ...axis, size: 44 }], padding: [8, 4, 0, 0],
    }, series, box);
    void style;
  };

  // Rows: one is current; some may be selected.
  let current = -1;
  const rows = () => $$("#view tr[data-href]");
  const markRow = () => rows().forEach((row, place) => row.classList.toggle("chosen", place === current));
  const goRow = (by) => {
    const count = rows().length;
    if (!count) return;
    current = Math.max(0, Math.min(count - 1, current + by));
    markRow();
    const link = $("a", rows()[current]);
    if (link) link.focus();
  };
  const selected = () => $$("#view input[name=ids]:checked");
  const showSelection = () => {
    const said = $("#selected");
    if (said) said.textContent = selected().length ? `${selected().length} selected` : "";
    $$("#view [data-selection]").forEach((each) => { each.disabled = selected().length === 0; });
    const all = $("#select-all");
    if (all) all.checked = selected().length > 0 && selected().length === $$("#view input[name=ids]").length;
  };

  const openMenu = (name) => {
    const button = selected().length ? $(`#view [data-selection="${name}"]`) : null;
    if (button) { button.click(); return; }
    const menu = $(`#view details[data-action="${name}"]`);
    if (!menu) return;
    menu.open = true;
    const field = $("input:not([type=hidden]), textarea, select, button", menu);
    if (field) field.focus();
  };

  document.addEventListener("click", (event) => {
    const target = event.target;
    if (!(target instanceof Element)) return;
    if (target.closest("#theme")) {
      root.dataset.theme = isDark() ? "light" : "dark";
      kept.set("theme", root.dataset.theme);
      drawChart();
    } else if (target.closest("#times")) {
      kept.set("times", kept.get("times") === "local" ? "utc" : "local");
      showTimes();
      drawChart();
    } else if (target.closest("#help-open")) {
      $("#help").showModal();
    } else if (target.closest("#live-sign")) {
      paused = !paused;
      shows();
    } else if (target.closest("[data-copy]")) {
      const button = target.closest("[data-copy]");
      navigator.clipboard?.writeText(button.dataset.copy);
      button.textContent = "copied";
    } else if (target.closest("#select-all")) {
      $$("#view input[name=ids]").forEach((each) => { each.checked = target.closest("#select-all").checked; });
      showSelection();
    }
    $$("details.menu[open]").forEach((menu) => { if (!menu.contains(target)) menu.open = false; });
  });
  document.addEventListener("change", showSelection);

  const places = { o: "overview", j: "jobs", f: "failed", h: "held", q: "queues", w: "workers", e: "engines", a: "activity", s: "schedules" };
  let going = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target instanceof Element && event.target.matches("input:not([type=checkbox]), textarea, select");
    if (event.key === "Escape") {
      $$("details.menu[open]").forEach((menu) => { menu.open = false; $("summary", menu).focus(); });
      if (typing) event.target.blur();
      return;
    }
    if (typing) return;
    if (Date.now() - going < 1200 && places[event.key]) {
      going = 0;
      const link = $(`a[data-place="${places[event.key]}"]`);
      if (link) { event.preventDefault(); link.click(); }
      return;
    }
    const keys = {
      "/": () => { const field = $("#q"); field.focus(); field.select(); },
      "?": () => $("#help").showModal(),
      g: () => { going = Date.now(); },
      j: () => goRow(1),
      k: () => goRow(-1),
      x: () => { const box = rows()[current] && $("input[name=ids]", rows()[current]); if (box) { box.checked = !box.checked; showSelection(); } },
      a: () => { const all = $("#select-all"); if (all) all.click(); },
      r: () => openMenu("retry"),
      c: () => openMenu("cancel"),
      p: () => { paused = !paused; shows(); },
    };
    if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
  });

  // On a narrow screen the places are one row, of which the current one is to be seen.
  const showPlace = () => {
    const side = $(".side"), here = $(".nav a[aria-current]");
    if (here && side.scrollWidth > side.clientWidth) {
      side.scrollLeft = here.offsetLeft - (side.clientWidth - here.offsetWidth) / 2;
    }
  };

  const start = () => { showPlace(); showTimes(); drawChart(); showSelection(); shows(); };
  addEventListener("resize", drawChart);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
