// A process of its own, so that nothing but the event loop counts: publishes without awaiting while nobody listens, and prints
// how far the resident set has grown. node --expose-gc flood.mjs <entry of the event loop> <publishes> <options as JSON>
const [entry, publishes, json] = process.argv.slice(2);
const { EventLoop } = await import(entry);
const options = {
  url: 'mqtt://127.0.0.1:1',
  reconnect: { policy: 'always', minDelayMs: 5, maxDelayMs: 50 },
  ...JSON.parse(json),
};

/** Collected this often, garbage never makes the heap grow: what grows is held. */
const PER_COLLECTION = 1_000;
const turn = () => new Promise((resolve) => setImmediate(resolve));

async function flood(loop, count) {
  const outcomes = {};
  const settled = (outcome) => (outcomes[outcome] = (outcomes[outcome] ?? 0) + 1);
  let peak = 0;
  for (let i = 1; i <= count; i++) {
    const published = loop.publish(`flood/${i % 10}`, Buffer.alloc(256, i), { qos: i % 3 });
    published.then(
      () => settled('resolved'),
      (error) => settled(error.code),
    );
    if (i % 500 === 0) await turn();
    if (i % PER_COLLECTION === 0) {
      globalThis.gc();
      peak = Math.max(peak, process.memoryUsage.rss());
    }
  }
  return { peak, outcomes };
}

// Code, nursery and buffer pools are not what is measured.
const small = new EventLoop({ ...options, requestCapacity: 10, maxWaiters: 10 });
await small.start();
await flood(small, 20_000);
await small.shutdown({ drainTimeoutMs: 0 });
globalThis.gc();

const before = process.memoryUsage.rss();
const loop = new EventLoop(options);
await loop.start();
const { peak, outcomes } = await flood(loop, Number(publishes));
const { queued, queuedBytes, waiting } = loop.stats();
await loop.shutdown({ drainTimeoutMs: 0 });
await turn();
console.log(JSON.stringify({ growthBytes: peak - before, queued, queuedBytes, waiting, outcomes }));
