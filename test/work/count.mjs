// A process of its own, so that nothing but the event loop counts. Prints what 1 000 messages cost, several times over:
//   node --expose-gc --min-semi-space-size=64 --max-semi-space-size=64 count.mjs <entry of the event loop> <task as JSON>
// The other side is a stream in this process that answers at once: chunks always have the same size, whatever the machine.
import { createHook } from 'node:async_hooks';
import { PerformanceObserver } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Wire } from './wire.mjs';

/** Counts are for so many messages. */
const MESSAGES = 1_000;
/** How often each is measured, to show that the counts are the same every time. */
const REPETITIONS = 3;

const [entry, json] = process.argv.slice(2);
const { direction, qos, protocolVersion, waste } = JSON.parse(json);
const { EventLoop } = await import(entry);

/** Under way at once: what one turn asks for, and what one chunk brings. */
const BATCH = 100;
const WARM_UP = 30_000;
/** Enough to drown what is not per message; few enough for the nursery, which must not be collected meanwhile. */
const ALLOCATING = 10_000;

const wire = new Wire(protocolVersion);
const loop = new EventLoop({ url: 'mqtt://wire', protocolVersion }, { dial: () => Promise.resolve(wire) });
await loop.start();

/** What only a test may do, to show that the counters see it. */
const wasted = [];
const PINGREQ = Buffer.from([0xc0, 0]);
function wasteSomething() {
  if (waste === 'promises') void Promise.resolve().then(() => {});
  if (waste === 'timers') clearTimeout(setTimeout(() => {}, 1_000));
  if (waste === 'immediates') setImmediate(() => {});
  if (waste === 'ticks') process.nextTick(() => {});
  if (waste === 'allocatedBytes') wasted[0] = Array.from({ length: 100 }, () => 0);
  if (waste === 'bufferBytes') wasted[0] = Buffer.allocUnsafeSlow(1_000);
  if (waste === 'writes') wire.write(PINGREQ);
}

/** Ours: what `run` returns, what awaits it, and one `then` a publish. */
const ownPromises = 2 + (direction === 'out' ? MESSAGES : 0);
const payload = Buffer.alloc(256, 'payload ');
const options = { qos };

function publish(messages) {
  return new Promise((resolve, reject) => {
    let left = messages;
    let underWay = 0;
    const done = () => {
      if (waste !== undefined) wasteSomething();
      if (--underWay === 0) next();
    };
    const next = () => {
      if (left === 0) return resolve();
      left -= BATCH;
      underWay = BATCH;
      for (let i = 0; i < BATCH; i++) loop.publish('plant/0001/line/3/state', payload, options).then(done, reject);
    };
    next();
  });
}

let onMessage;
if (direction === 'in') {
  loop.onMessage(() => onMessage());
  await loop.subscribe('#', options);
}

function receive(messages) {
  return new Promise((resolve) => {
    let left = messages;
    let handled = 0;
    onMessage = () => {
      if (waste !== undefined) wasteSomething();
      // QoS 0 has no answer to wait for.
      if (++handled === BATCH && qos === 0) setImmediate(next);
    };
    const next = () => {
      if (left === 0) return resolve();
      left -= BATCH;
      handled = 0;
      wire.ownImmediates++;
      wire.deliver(qos, BATCH, payload, qos === 0 ? undefined : next);
    };
    next();
  });
}

const run = direction === 'out' ? publish : receive;

async function countOnce() {
  const made = { PROMISE: 0, Timeout: 0, Immediate: 0, TickObject: 0 };
  await nextTurn();
  wire.reset();
  const hook = createHook({
    init(_id, type) {
      if (type in made) made[type]++;
    },
  }).enable();
  await run(MESSAGES);
  hook.disable();
  return made;
}

async function allocateOnce() {
  let collections = 0;
  const observer = new PerformanceObserver((list) => (collections += list.getEntries().length));
  // The second one waits until the buffers that the first one found are gone.
  globalThis.gc();
  globalThis.gc();
  await nextTurn();
  observer.observe({ entryTypes: ['gc'] });
  const before = process.memoryUsage();
  await run(ALLOCATING);
  const after = process.memoryUsage();
  for (let turns = 0; turns < 3; turns++) await nextTurn();
  observer.disconnect();
  if (collections > 0) throw new Error('the nursery was collected during the measurement: it is too small');
  const per = (key) => ((after[key] - before[key]) / ALLOCATING) * MESSAGES;
  return { allocatedBytes: per('heapUsed'), bufferBytes: per('arrayBuffers') };
}

await run(WARM_UP);
const repetitions = [];
for (let repetition = 0; repetition < REPETITIONS; repetition++) {
  const allocated = await allocateOnce();
  const made = await countOnce();
  repetitions.push({
    writes: wire.writes,
    bytes: wire.bytes,
    promises: made.PROMISE - ownPromises,
    timers: made.Timeout,
    immediates: made.Immediate - wire.ownImmediates,
    ticks: made.TickObject,
    ...allocated,
  });
}
await loop.shutdown({ drainTimeoutMs: 0 });
console.log(JSON.stringify(repetitions));
