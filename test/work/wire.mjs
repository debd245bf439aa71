import { Duplex } from 'node:stream';

const CONNECT = 1;
const PUBLISH = 3;
const PUBACK = 4;
const PUBREC = 5;
const PUBREL = 6;
const PUBCOMP = 7;
const SUBSCRIBE = 8;

/** A server at the other end of a stream: answers a write with one chunk in the next turn, and counts what it is given. */
export class Wire extends Duplex {
  writes = 0;
  bytes = 0;
  /** Made by this side of the stream. */
  ownImmediates = 0;
  #version;
  /** Answers lie one behind the other, so that making room for them is not counted; none is as old as a whole round. */
  #answers = Buffer.alloc(2 ** 20);
  #answered = 0;
  /** Deliveries that the client has not acknowledged, and what to do when it has. */
  #open = 0;
  #onAcknowledged;
  #chunks = new Map();

  constructor(version) {
    super();
    this.#version = version;
  }

  reset() {
    this.writes = 0;
    this.bytes = 0;
    this.ownImmediates = 0;
  }

  /** PUBLISH packets in one chunk. */
  deliver(qos, messages, payload, onAcknowledged) {
    let chunk = this.#chunks.get(qos);
    if (chunk === undefined) {
      const ids = Array.from({ length: messages }, (_, index) => index + 1);
      chunk = Buffer.concat(ids.map((id) => this.#publish(qos, id, payload)));
      this.#chunks.set(qos, chunk);
    }
    this.#open = messages;
    this.#onAcknowledged = onAcknowledged;
    this.push(chunk);
  }

  #publish(qos, id, payload) {
    const topic = Buffer.from('plant/0001/line/3/state');
    const rest = [...(qos > 0 ? [0, id] : []), ...(this.#version === 5 ? [0] : []), ...payload];
    const body = Buffer.from([0, topic.length, ...topic, ...rest]);
    return Buffer.concat([Buffer.from([0x30 | (qos << 1), (body.length & 0x7f) | 0x80, body.length >> 7]), body]);
  }

  _read() {}

  _write(chunk, _encoding, callback) {
    this.writes++;
    this.bytes += chunk.length;
    if (this.#answered + chunk.length > this.#answers.length) this.#answered = 0;
    const from = this.#answered;
    this.#answerAll(chunk);
    const answers = this.#answers.subarray(from, this.#answered);
    const onAcknowledged = this.#open === 0 ? this.#onAcknowledged : undefined;
    if (onAcknowledged) this.#onAcknowledged = undefined;
    this.ownImmediates++;
    setImmediate(() => {
      callback();
      if (answers.length > 0) this.push(answers);
      onAcknowledged?.();
    });
  }

  #answerAll(chunk) {
    for (let at = 0; at < chunk.length;) {
      const type = chunk[at] >> 4;
      const qos = (chunk[at] >> 1) & 3;
      let body = at + 1;
      let length = 0;
      for (let shift = 0, digit = 0x80; digit >= 0x80; shift += 7) {
        digit = chunk[body++];
        length += (digit & 0x7f) << shift;
      }
      if (type === CONNECT) this.#answer(this.#version === 5 ? [0x20, 3, 0, 0, 0] : [0x20, 2, 0, 0]);
      else if (type === SUBSCRIBE) {
        const head =
          this.#version === 5 ? [0x90, 4, chunk[body], chunk[body + 1], 0] : [0x90, 3, chunk[body], chunk[body + 1]];
        this.#answer([...head, chunk[body + length - 1] & 3]);
      } else if (type === PUBLISH && qos > 0)
        this.#acknowledge(qos === 1 ? 0x40 : 0x50, chunk, body + 2 + chunk.readUInt16BE(body));
      else if (type === PUBREL) this.#acknowledge(0x70, chunk, body);
      else if (type === PUBREC) this.#acknowledge(0x62, chunk, body);
      else if (type === PUBACK || type === PUBCOMP) this.#open--;
      at = body + length;
    }
  }

  #acknowledge(head, chunk, idAt) {
    this.#answer([head, 2, chunk[idAt], chunk[idAt + 1]]);
  }

  #answer(bytes) {
    for (const byte of bytes) this.#answers[this.#answered++] = byte;
  }
}
