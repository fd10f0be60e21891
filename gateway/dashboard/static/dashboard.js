// What the pages do beyond links and forms. Without it everything still works, by reloading.
"use strict";
(() => {
  const $ = (selector, from = document) => from.querySelector(selector);
  const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
  const stored = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
  const store = (name, value) => { try { localStorage.setItem(name, value); } catch { /* private mode */ } };
  let opener = null;

  // --- parts that scripts alone can do are shown

  function dress(root) {
    for (const button of $$("[data-copy][hidden], .keys-button[hidden], [data-tick-all][hidden]", root)) button.hidden = false;
    for (const title of $$(".slot > title", root)) {
      title.parentNode.dataset.tip = title.textContent;
      title.remove();
    }
  }

  // --- ticking

  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-tick-all]")) return;
    for (const box of $$(".tick [form]")) box.checked = event.target.checked;
  });

  // --- copying

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const text = button.dataset.copy || $("pre", button.parentNode).textContent;
    try {
      await navigator.clipboard.writeText(text);
      say("Copied");
      const words = $("span", button);
      if (words) { words.textContent = "Copied"; setTimeout(() => { words.textContent = "Copy"; }, 1600); }
    } catch { say("The browser did not allow to copy"); }
  });

  function say(text) { const said = $("#said"); if (said) said.textContent = text; }

  // --- the tip of a chart

  const tip = $("#tip");
  document.addEventListener("pointermove", (event) => {
    if (!tip) return;
    const slot = event.target.closest && event.target.closest("[data-tip]");
    if (!slot) { tip.hidden = true; return; }
    if (tip.of !== slot) {
      tip.of = slot;
      const [head, ...lines] = slot.dataset.tip.split("\n");
      tip.replaceChildren(element("p", head), ...lines.map((line) => {
        const [name, value] = line.split("\t");
        const row = document.createElement("div");
        row.append(element("bdi", name), element("span", value ?? ""));
        return row;
      }));
    }
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    const right = event.clientX + 14 + width > innerWidth;
    tip.style.transform = `translate(${Math.max(8, right ? event.clientX - width - 14 : event.clientX + 14)}px, ${Math.max(8, Math.min(event.clientY - height / 2, innerHeight - height - 8))}px)`;
  });
  document.addEventListener("pointerleave", () => { if (tip) tip.hidden = true; });

  function element(name, text) { const made = document.createElement(name); made.textContent = text; return made; }

  // --- the panel beside a list

  const layer = $("#layer");

  // Its requests have a queue of their own (hx-sync): behind a refresh of the list, one would come
  // late, when the focus has been given away, or be dropped.
  let turns = 0;

  async function show(url, opens = true) {
    const turn = ++turns;
    const asks = { source: "#beside", target: "#layer", select: "#layer", swap: "outerHTML", headers: { "X-Farebox-Part": "panel" } };
    try { await htmx.ajax("GET", url, asks); } catch { location.href = url; return; }
    if (turn !== turns) return; // another one was opened meanwhile
    const panel = $("#panel");
    if (opens && !panel) { location.href = url; return; }
    history.pushState({ panel: true }, "", url);
    shown = address();
    mark();
    if (panel) panel.focus({ preventScroll: true });
    else if (opener) { land(opener); opener = null; }
  }

  // A list that was fetched again has other elements; its rows are known by where they lead.
  const leads = (element) => element?.closest("a[data-row]")?.href ?? null;

  function land(href) {
    ($$("a[data-row]").find((row) => row.href === href) ?? $("#main")).focus({ preventScroll: true });
  }

  let focused = null;
  document.addEventListener("htmx:before:swap", () => { focused = leads(document.activeElement); });
  document.addEventListener("htmx:after:swap", () => {
    if (focused && document.activeElement === document.body) land(focused);
    focused = null;
  });

  function mark() {
    const params = new URLSearchParams(location.search);
    for (const row of $$("tr.chosen")) row.classList.remove("chosen");
    const open = params.get("user") ?? params.get("log");
    if (open === null) return;
    for (const link of $$("[data-panel]")) {
      const of = new URL(link.href).searchParams;
      if ((of.get("user") ?? of.get("log")) === open) link.closest("tr").classList.add("chosen");
    }
  }

  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const link = event.target.closest("a[data-panel], a[data-close]");
    if (!link || !window.htmx || !layer) return;
    event.preventDefault();
    if (link.hasAttribute("data-panel")) opener = link.href;
    show(link.href, link.hasAttribute("data-panel"));
  });
  // Back and forward show what the address says; a jump within the page is none of these.
  const address = () => location.pathname + location.search;
  let shown = address();
  addEventListener("popstate", () => { if (address() !== shown) location.reload(); });

  // --- what is new comes by itself

  function follow() {
    const live = $("#live");
    if (!live || !window.EventSource) return;
    const feed = new EventSource("/live");
    let waiting = false;
    let later = [];
    feed.addEventListener("open", () => { live.hidden = false; live.classList.remove("off"); });
    feed.addEventListener("error", () => live.classList.add("off"));
    feed.addEventListener("calls", (event) => {
      document.dispatchEvent(new CustomEvent("farebox:calls", { detail: JSON.parse(event.data) }));
      if (waiting || document.hidden) return;
      waiting = true;
      setTimeout(() => { waiting = false; freshen(); }, $(".welcome .waiting") ? 1200 : 300);
      // Sums are kept for a moment, dear ones for longer: the last call has to be in them, too.
      later.forEach(clearTimeout);
      if (!$("[data-tail]")) later = [1500, 30000].map((ms) => setTimeout(freshen, ms));
    });
    addEventListener("pagehide", () => feed.close());
  }

  function freshen() {
    const fresh = $("[data-fresh]");
    if (!fresh || !window.htmx) return;
    if ($(".welcome .waiting")) { location.reload(); return; }
    if (fresh.hasAttribute("data-tail")) { tail(fresh); return; }
    refresh(fresh);
  }

  // Figures that are still being added up are asked for again; where there is nothing yet, the page.
  let asked = 0;
  function insist() {
    clearTimeout(asked);
    const pending = $("[data-pending]");
    if (!pending) return;
    asked = setTimeout(() => {
      if (window.htmx && $(".tile, table", pending)) refresh(pending); else location.reload();
    }, 1500);
  }

  function refresh(fresh) {
    htmx.ajax("GET", location.href, { source: "#main", target: `#${fresh.id}`, select: `#${fresh.id}`, swap: "outerMorph" });
  }

  // The tail of the log is held while somebody reads further down, or has said so.
  let held = false;
  let missed = 0;
  let before = null;

  function tail(list) {
    if (held || scrollY > 160 || $("#panel")) { pill(); return; }
    before = new Set($$("tbody tr", list).map((row) => row.id));
    missed = 0;
    pill();
    refresh(list);
  }

  function pill() {
    const button = $("#pill");
    if (!button) return;
    button.hidden = !(missed || held);
    $("span", button).textContent = held ? `Held${missed ? `, ${missed} new` : ""}` : `${missed} new`;
  }

  document.addEventListener("farebox:calls", (event) => { missed += event.detail.calls; });
  $("#pill")?.addEventListener("click", () => {
    held = false;
    scrollTo({ top: 0 });
    missed = 0;
    pill();
    const list = $("[data-tail]");
    if (list) refresh(list);
  });
  document.addEventListener("htmx:after:swap", () => {
    if (before === null) return;
    for (const row of $$("[data-tail] tbody tr")) row.classList.toggle("fresh", !before.has(row.id));
    before = null;
  });

  // --- names for a field that takes an identifier

  let asking = 0;
  document.addEventListener("input", (event) => {
    if (!event.target.matches("[data-suggest]")) return;
    clearTimeout(asking);
    asking = setTimeout(async () => {
      const answer = await fetch(`/suggest?q=${encodeURIComponent(event.target.value)}`);
      if (!answer.ok) return;
      const { data } = await answer.json();
      $(`#${event.target.getAttribute("list")}`).replaceChildren(...data.map(({ id, name }) => {
        const option = document.createElement("option");
        option.value = id;
        if (name) option.label = name;
        return option;
      }));
    }, 150);
  });

  document.addEventListener("htmx:after:swap", () => {
    dress(document);
    mark();
    insist();
  });

  // --- keys

  let gone = false;

  function row(step) {
    const rows = $$("a[data-row]");
    if (!rows.length) return;
    const at = rows.findIndex((link) => link === document.activeElement || link.closest("tr")?.classList.contains("chosen"));
    const next = rows[Math.min(Math.max(at + step, 0), rows.length - 1)];
    if ($("#panel")) { opener = next.href; show(next.href); } else next.focus();
    next.scrollIntoView({ block: "nearest" });
  }

  function press(key) {
    if (gone) {
      gone = false;
      const link = /^[a-z]$/.test(key) && $(`[data-go="${key}"]`);
      if (link) { link.click(); return true; }
    }
    if (key >= "1" && key <= "6") { $(`[data-range="${key}"]`)?.click(); return true; }
    switch (key) {
      case "/": $("#search")?.focus(); return true;
      case "g": gone = true; setTimeout(() => { gone = false; }, 1200); return true;
      case "j": row(1); return true;
      case "k": row(-1); return true;
      case "x": case "t": $(`[data-key="${key}"]`)?.click(); return true;
      case " ":
        if (!$("[data-tail]") || document.activeElement !== document.body) return false;
        held = !held;
        if (held) pill(); else $("#pill").click();
        return true;
      case "?": $("#keys")?.showModal(); return true;
      default: return false;
    }
  }

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      const close = $("#panel [data-close]");
      if (close && !$("dialog[open]")) { event.preventDefault(); close.click(); }
      $$("details.menu[open]").forEach((menu) => { menu.open = false; });
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || stored("farebox-keys") === "off" && event.key !== "?") return;
    if (event.target.closest("input, select, textarea, [contenteditable]") || $("dialog[open]")) return;
    if (press(event.key)) event.preventDefault();
  });

  document.addEventListener("click", (event) => {
    const opens = event.target.closest("[data-open]");
    if (opens) $(`#${opens.dataset.open}`).showModal();
    $$("details.menu[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
  });

  const off = $("#keys-off");
  if (off) {
    off.checked = stored("farebox-keys") === "off";
    off.addEventListener("change", () => store("farebox-keys", off.checked ? "off" : "on"));
  }

  // --- light and dark, without a reload

  $("form.theme")?.addEventListener("submit", (event) => {
    event.preventDefault();
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    document.cookie = `farebox_theme=${root.dataset.theme}; path=/; max-age=34560000; samesite=lax`;
  });

  dress(document);
  insist();
  follow();
})();
