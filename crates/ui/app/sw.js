// Runs as it is written: no syntax past Chrome 71.
// Reads offline what the program stored. It holds no personal data itself: only the program and an empty page.
const FILES = __FILES__;
const CACHE = 'preau-__VERSION__';
const SHELL = '/_shell';
/** A page that has not come by then is drawn from the device's own data; the program asks the server again. */
const PATIENCE_MS = 6000;

self.addEventListener('install', (event) => {
  const fresh = [SHELL, ...FILES].map((path) => new Request(path, { cache: 'reload' }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(fresh)));
});

self.addEventListener('activate', (event) => {
  event.waitUntil(
    caches.keys().then((names) => Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name)))),
  );
});

self.addEventListener('message', (event) => {
  if (event.data === 'activate') self.skipWaiting();
});

const shell = () => caches.match(SHELL);

/** The server's answer, whatever it says: a place in the queue, a refusal or an outage are its words, not ours. */
async function page(request) {
  let timer;
  const patience = new Promise((resolve) => (timer = setTimeout(resolve, PATIENCE_MS))).then(shell);
  const answer = fetch(request);
  try {
    return (await Promise.race([answer, patience])) || (await answer);
  } catch {
    return (await shell()) || Response.error();
  } finally {
    clearTimeout(timer);
  }
}

/** What this device keeps, whatever the server has to say: somebody who waits at the door reads on. */
const reading = async (request) => (await shell()) || fetch(request);

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== self.location.origin) return;
  if (request.mode === 'navigate') event.respondWith(url.search === '?journee' ? reading(request) : page(request));
  else if (FILES.includes(url.pathname)) {
    event.respondWith(caches.match(request).then((kept) => kept || fetch(request)));
  }
});
