// Runs before the first paint, so that no other theme flashes. The page keeps data-theme up to date from then on.
(function () {
  var theme = new URLSearchParams(location.search).get('theme');
  if (theme !== 'dark' && theme !== 'light') theme = matchMedia('(prefers-color-scheme: light)').matches ? 'light' : 'dark';
  document.documentElement.dataset.theme = theme;
})();
