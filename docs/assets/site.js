// What the theme lacks: what is wider than the page is reached, and scrolled, by keys.
addEventListener("load", () => {
  for (const each of document.querySelectorAll(".md-typeset__scrollwrap, pre > code")) {
    if (each.scrollWidth > each.clientWidth) each.tabIndex = 0;
  }
});
