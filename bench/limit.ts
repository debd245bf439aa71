/** The raw-socket limit: the same bytes, encoded beforehand and moved by `node:net`, without a client. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Meter } from './meter.js';
import type { Sample, TaskOf } from './tasks.js';
import { encodePublish, floodFilter, ringOf, type Flood, type QoS, type Version } from './wire.js';

const BATCH_BYTES = 65_536;
const TOPICS = 100;
const ACK_BYTES = 4;
const PUBACK = 0x40;
const PUBREC = 0x50;
const PUBREL = 0x62;
const PUBCOMP = 0x70;

/** One batch after the other; the answers are counted, not read. */
export async function measureLimitPublish(task: TaskOf<'publish'>): Promise<Sample> {
  const { qos, payload, protocolVersion } = task;
  const meter = new Meter(task);
  const packetBytes = encodePublish(0, payload, qos, 1, protocolVersion).length;
  const packets = Math.ceil(BATCH_BYTES / packetBytes);
  const batch = Buffer.concat(
    Array.from({ length: packets }, (_, index) =>
      encodePublish(index % TOPICS, payload, qos, index + 1, protocolVersion),
    ),
  );
  const releases = acknowledgements(PUBREL, packets);
  const socket = await openSocket(task.url, protocolVersion);
  const total = task.warmUp + task.messages;
  let sent = 0;
  const send = (): void => {
    if (sent >= total) return;
    sent += packets;
    socket.write(batch, () => {
      if (qos > 0) return;
      meter.add(packets);
      send();
    });
  };
  let answeredBytes = 0;
  let isReleasing = false;
  socket.on('data', (chunk) => {
    answeredBytes += chunk.length;
    if (answeredBytes < packets * ACK_BYTES) return;
    answeredBytes = 0;
    isReleasing = qos === 2 && !isReleasing;
    if (isReleasing) socket.write(releases);
    else {
      meter.add(packets);
      send();
    }
  });
  send();
  const sample = await meter.sample;
  socket.destroy();
  return sample;
}

/** Acknowledges without reading more of a packet than tells its length. */
export async function measureLimitReceive(task: TaskOf<'receive'>): Promise<Sample> {
  const { qos, payload, protocolVersion } = task;
  const meter = new Meter(task);
  const flood: Flood = { messages: task.warmUp + task.messages, topics: TOPICS, firstTopic: 0, payload };
  const packetBytes = encodePublish(0, payload, qos, 1, protocolVersion).length;
  const socket = await openSocket(task.url, protocolVersion);
  const subackBytes = protocolVersion === 5 ? 6 : 5;
  const ids = ringOf(flood);
  const first = answersOf(qos === 1 ? PUBACK : PUBREC, ids);
  const completions = answersOf(PUBCOMP, ids);

  /** Bytes of the packet that the chunk before ended in. */
  let rest = -subackBytes;
  if (qos < 2) {
    socket.on('data', (chunk) => {
      const bytes = rest + chunk.length;
      const received = Math.max(0, Math.floor(bytes / packetBytes));
      rest = bytes - received * packetBytes;
      if (qos === 1) first.write(socket, received);
      meter.add(received);
    });
  } else {
    /** Bytes of it that are still to come. */
    let missing = subackBytes;
    socket.on('data', (chunk) => {
      let published = 0;
      let released = 0;
      let at = missing;
      for (; at < chunk.length;) {
        if (chunk[at] === PUBREL) {
          released++;
          at += ACK_BYTES;
        } else {
          published++;
          at += packetBytes;
        }
      }
      missing = at - chunk.length;
      first.write(socket, published);
      completions.write(socket, released);
      meter.add(released);
    });
  }
  socket.write(encodeSubscribe(floodFilter(flood), qos, protocolVersion));
  const sample = await meter.sample;
  socket.destroy();
  return sample;
}

/** Acknowledgements of the flood's identifiers, in its order. */
function answersOf(type: number, ids: number): { write(socket: Socket, count: number): void } {
  const ring = acknowledgements(type, ids);
  let next = 0;
  return {
    write(socket, count) {
      for (let left = count; left > 0;) {
        const now = Math.min(left, ids - next);
        socket.write(ring.subarray(next * ACK_BYTES, (next + now) * ACK_BYTES));
        next = (next + now) % ids;
        left -= now;
      }
    },
  };
}

function acknowledgements(type: number, ids: number): Buffer {
  return Buffer.concat(Array.from({ length: ids }, (_, index) => Buffer.from([type, 2, (index + 1) >> 8, index + 1])));
}

export function encodeSubscribe(topicFilter: string, qos: QoS, version: Version): Buffer {
  const filter = Buffer.from(topicFilter);
  const body = [0, 1, ...(version === 5 ? [0] : []), 0, filter.length, ...filter, qos];
  return Buffer.from([0x82, body.length, ...body]);
}

/** A connection that CONNACK has come on. */
export async function openSocket(url: string, version: Version): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, 'connect');
  const properties = version === 5 ? [0] : [];
  const clientId = Buffer.from(`limit-${process.pid}`);
  const head = [0, 4, ...Buffer.from('MQTT'), version, 2, 0, 60, ...properties, 0, clientId.length, ...clientId];
  socket.write(Buffer.from([0x10, head.length, ...head]));
  await once(socket, 'data');
  return socket;
}
