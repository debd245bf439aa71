/** What Mosquitto and two raw sockets take for a request and its reply: bytes encoded beforehand, answered without being looked at. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { encodeSubscribe, openSocket } from './limit.js';
import { latencySample, Stopwatch } from './meter.js';
import type { Sample, TaskOf } from './tasks.js';
import { encodePublish, topicOf, type Version } from './wire.js';

/** About as many as the envelopes of Nest's transports have here. */
const PAYLOAD_BYTES = 70;
const REQUEST = 0;
const REPLY = 1;

export async function measureLimitRequests(task: TaskOf<'requests'>): Promise<Sample> {
  const responder = fork(fileURLToPath(new URL('./limit-responder.js', import.meta.url)), [JSON.stringify(task)]);
  await once(responder, 'message');
  const { concurrency, warmUp, messages, protocolVersion } = task;
  const requests = repeated(REQUEST, concurrency, protocolVersion);
  const socket = await subscribed(task, REPLY);
  const watch = new Stopwatch();
  const latenciesMs: number[] = [];
  /** When those under way were sent; they are answered in order. */
  const startedMs: number[] = [];
  const send = (count: number): void => {
    const nowMs = performance.now();
    for (let i = 0; i < count; i++) startedMs.push(nowMs);
    if (count > 0) socket.write(requests.subarray(0, (count * requests.length) / concurrency));
  };
  await new Promise<void>((resolve) => {
    let answered = 0;
    onPackets(socket, protocolVersion, (count) => {
      const nowMs = performance.now();
      for (let i = 0; i < count; i++, answered++) {
        const sentMs = startedMs.shift()!;
        if (answered === warmUp) watch.start();
        if (answered > warmUp) latenciesMs.push(nowMs - sentMs);
      }
      if (answered > warmUp + messages) resolve();
      else send(count);
    });
    send(concurrency);
  });
  watch.stop();
  socket.destroy();
  responder.disconnect();
  return { ...watch.sample(latenciesMs.length), ...latencySample(latenciesMs), lost: 0 };
}

/** Answers as many as come, until the socket is closed. */
export async function answerLimitRequests(task: TaskOf<'requests'>): Promise<void> {
  const { concurrency, protocolVersion } = task;
  const replies = repeated(REPLY, concurrency, protocolVersion);
  const socket = await subscribed(task, REQUEST);
  onPackets(socket, protocolVersion, (count) => {
    if (count > 0) socket.write(replies.subarray(0, (count * replies.length) / concurrency));
  });
}

function repeated(topic: number, count: number, version: Version): Buffer {
  return Buffer.concat(Array.from({ length: count }, () => encodePublish(topic, PAYLOAD_BYTES, 0, 0, version)));
}

async function subscribed({ url, protocolVersion }: TaskOf<'requests'>, topic: number): Promise<Socket> {
  const socket = await openSocket(url, protocolVersion);
  socket.write(encodeSubscribe(topicOf(topic), 0, protocolVersion));
  await once(socket, 'data');
  return socket;
}

/**
 * Requests and replies are of one length, so counting bytes tells how many have come. Told once a turn of Node's event loop: who
 * writes for every message that a broker hands out wakes that broker for each.
 */
function onPackets(socket: Socket, version: Version, came: (count: number) => void): void {
  const packetBytes = encodePublish(REQUEST, PAYLOAD_BYTES, 0, 0, version).length;
  let unread = 0;
  let isScheduled = false;
  const tell = (): void => {
    isScheduled = false;
    const count = Math.floor(unread / packetBytes);
    unread -= count * packetBytes;
    came(count);
  };
  socket.on('data', (chunk) => {
    unread += chunk.length;
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(tell);
  });
}
