"use strict";
(() => {
  const { specs, themes } = JSON.parse(document.getElementById("drawn").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let drawing = 0;

  async function draw() {
    const turn = ++drawing;
    const page = document.documentElement;
    page.dataset.pictures = "drawing";
    for (const place of document.querySelectorAll("[data-picture]")) {
      const spec = specs[place.dataset.picture];
      const name = (spec.title || place.closest("figure").firstElementChild.textContent).trim();
      await vegaEmbed(place, spec, {
        mode: "vega-lite",
        renderer: "svg",
        logLevel: 1,
        config: themes[dark.matches ? "dark" : "light"],
        actions: { export: { svg: true, png: true }, source: false, compiled: false, editor: false },
        downloadFileName: name.replace(/[^\w.-]+/g, "-"),
        scaleFactor: 2,
        defaultStyle: "/* the page's own */",
        tooltip: { disableDefaultStyle: true },
        i18n: { CLICK_TO_VIEW_ACTIONS: `Save the picture: ${name}` },
      });
      const summary = place.querySelector("summary");
      summary.setAttribute("aria-label", `Save the picture: ${name}`);
      summary.textContent = "save";
      await new Promise((done) => setTimeout(done));
      if (turn !== drawing) return;
    }
    page.dataset.pictures = "drawn";
  }

  // What is closed has no width: what is drawn in it takes its own when it opens.
  const fit = () => window.dispatchEvent(new Event("resize"));

  function filter(form) {
    const claims = [...form.parentElement.querySelectorAll(".claim")];
    const boxes = [...form.querySelectorAll("input")];
    const chosen = (name) => boxes.filter((b) => b.name === name && b.checked).map((b) => b.value);
    const allows = (wanted, value) => !wanted.length || wanted.includes(value);
    const facets = { verdict: chosen("verdict"), evidence: chosen("evidence"), "made by": chosen("made by") };

    const judged = (mark, wanted) =>
      allows(wanted.verdict, mark.dataset.verdict) && allows(wanted.evidence, mark.dataset.evidence);
    const matches = (claim, wanted) =>
      allows(wanted["made by"], claim.dataset.madeBy) &&
      ((!wanted.verdict.length && !wanted.evidence.length) ||
        [...claim.querySelectorAll(".judged")].some((mark) => judged(mark, wanted)));

    let found = 0;
    for (const claim of claims) {
      claim.hidden = !matches(claim, facets);
      found += !claim.hidden;
      for (const part of claim.querySelectorAll("[data-verdict]")) part.hidden = !judged(part, facets);
    }
    for (const box of boxes) {
      const wanted = { ...facets, [box.name]: [box.value] };
      box.parentElement.querySelector(".count").textContent = claims.filter((c) => matches(c, wanted)).length;
    }
    form.querySelector("[role=status]").textContent =
      found === claims.length ? `All ${found} claims` : `${found} of ${claims.length} claims`;
  }

  // The address says what is shown: #EXPERIMENT-CLAIM, or #in=EXPERIMENT&verdict=refuted&...
  const forms = [...document.querySelectorAll(".filters")];

  function address(form) {
    const chosen = [...form.querySelectorAll("input:checked")].map((box) => [box.name, box.value]);
    return `#${new URLSearchParams([["in", form.dataset.experiment], ...chosen])}`;
  }

  function follow() {
    const hash = location.hash.slice(1);
    const wanted = new URLSearchParams(hash.includes("=") ? hash : "");
    const only = wanted.get("in");
    for (const form of forms) {
      const isMeant = only === null || only === form.dataset.experiment;
      for (const box of form.querySelectorAll("input"))
        box.checked = isMeant && wanted.getAll(box.name).includes(box.value);
      filter(form);
    }
    const target = document.querySelector(":target");
    for (let one = target; one; one = one.parentElement) if (one.matches("details")) one.open = true;
    if (target) target.scrollIntoView();
    return wanted.size ? forms.find((form) => only === null || only === form.dataset.experiment) : null;
  }

  for (const form of forms) {
    form.addEventListener("change", () => {
      filter(form);
      history.pushState(null, "", address(form));
    });
    form.addEventListener("submit", (event) => event.preventDefault());
  }
  addEventListener("hashchange", follow);
  follow()?.parentElement.scrollIntoView();

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")].filter((one) => !one.closest(".drawing"));
    for (const one of closed) one.open = true;
    fit();
  });
  addEventListener("afterprint", () => {
    for (const one of closed) one.open = false;
  });
  document.addEventListener("toggle", (event) => event.target.querySelector(".drawing") && fit(), true);
  dark.addEventListener("change", draw);
  draw();
})();
