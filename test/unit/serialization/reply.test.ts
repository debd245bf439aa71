import { MqttRecordBuilder } from '@nestjs/microservices';
import { describe, expect, it } from 'vitest';
import type { IncomingMessage, PublishProperties } from '../../../lib/eventloop/messages.js';
import { autoCodec } from '../../../lib/serialization/codec.js';
import { CallReader, type ReplyTarget } from '../../../lib/serialization/incoming.js';
import { decodeReply, encodeReply } from '../../../lib/serialization/reply.js';

const builtin: ReplyTarget = {
  request: {} as IncomingMessage,
  topic: 't/reply',
  correlationData: undefined,
  id: 'x',
  qos: 0,
  hasProperties: false,
  codec: autoCodec,
};
const ours: ReplyTarget = {
  request: {} as IncomingMessage,
  topic: 'inbox',
  correlationData: Buffer.alloc(16, 1),
  id: 'x',
  qos: 1,
  hasProperties: true,
  codec: autoCodec,
};
const device: ReplyTarget = { ...ours, id: undefined };

function message(payload: Uint8Array | string, properties?: PublishProperties, topic = 't'): IncomingMessage {
  return {
    topic,
    payload: Buffer.from(payload as string),
    qos: 1,
    retain: false,
    dup: false,
    properties,
    acknowledge: () => true,
    leave: () => false,
  };
}

describe('a reply', () => {
  it('to a built-in client looks as its own server writes it', () => {
    const text = (packet: object): unknown => encodeReply(builtin, packet).payload;

    expect(text({ response: 6, isDisposed: true })).toBe('{"response":6,"isDisposed":true,"id":"x"}');
    expect(text({ response: 1 })).toBe('{"response":1,"id":"x"}');
    expect(text({ isDisposed: true })).toBe('{"isDisposed":true,"id":"x"}');
    expect(text({ response: null, isDisposed: true })).toBe('{"response":null,"isDisposed":true,"id":"x"}');
    expect(text({ err: { status: 'error', message: 'no' }, isDisposed: true })).toBe(
      '{"err":{"status":"error","message":"no"},"isDisposed":true,"id":"x"}',
    );
    expect(text({ err: new Error('no'), isDisposed: true })).toBe(
      '{"err":{"status":"error","message":"no"},"isDisposed":true,"id":"x"}',
    );
    expect(text({ response: Buffer.from([1]), isDisposed: true })).toBe(
      '{"response":{"type":"Buffer","data":[1]},"isDisposed":true,"id":"x"}',
    );
    expect(encodeReply(builtin, { response: 6 }).options).toEqual({ qos: 0, retain: false, properties: undefined });
  });

  it('to a device is the bare value, and properties say what else it is', () => {
    const encode = (packet: object): unknown[] => {
      const { payload, options } = encodeReply(device, packet);
      return [payload, options.properties?.userProperties];
    };

    expect(encode({ response: { a: 1 }, isDisposed: true })).toEqual(['{"a":1}', undefined]);
    expect(encode({ response: 'text', isDisposed: true })).toEqual(['text', undefined]);
    expect(encode({ response: 1 })).toEqual(['1', { 'nest-status': 'more' }]);
    expect(encode({ isDisposed: true })).toEqual(['', { 'nest-status': 'complete' }]);
    expect(encode({ err: 'no', isDisposed: true })).toEqual(['no', { 'nest-status': 'error' }]);
  });

  it('carries the correlation data of the request, whatever else it carries', () => {
    const record = new MqttRecordBuilder('x')
      .setQoS(2)
      .setRetain(true)
      .setProperties({ contentType: 'text/x', correlationData: Buffer.from('own'), userProperties: { a: '1' } })
      .build();

    const { options } = encodeReply(ours, { response: record, isDisposed: true });

    expect(options).toMatchObject({
      qos: 2,
      retain: true,
      properties: { contentType: 'text/x', correlationData: ours.correlationData, userProperties: { a: '1' } },
    });
  });

  it.each<[string, ReplyTarget, object]>([
    ['a value', ours, { response: { a: 1 }, isDisposed: true }],
    ['one of several values', ours, { response: 1 }],
    ['nothing', ours, { isDisposed: true }],
    ['null', ours, { response: null, isDisposed: true }],
    ['an error', ours, { err: { code: 1 }, isDisposed: true }],
    ['bytes', ours, { response: Buffer.from([0xff, 0]), isDisposed: true }],
    ['bytes that look like JSON', ours, { response: Buffer.from('1'), isDisposed: true }],
    ['one of several bytes', ours, { response: Buffer.from([0xff]) }],
    ['a bare value', device, { response: [1], isDisposed: true }],
    ['a bare value of several', device, { response: [1] }],
    ['a bare error', device, { err: { code: 1 }, isDisposed: true }],
    ['a bare nothing', device, { isDisposed: true }],
  ])('comes back as it was sent: %s', (_name, target, packet) => {
    const { payload, options } = encodeReply(target, packet);
    const id = target.id === undefined ? 'from correlation data' : 'x';

    const decoded = decodeReply(message(payload, options.properties), id);

    expect(decoded).toEqual({ id, packet: expect.objectContaining(packet) });
  });

  it('is no reply without an id that anybody could wait for', () => {
    expect(decodeReply(message('text'), undefined)).toBeUndefined();
    expect(decodeReply(message('{"id":7,"response":1}'), undefined)).toBeUndefined();
  });

  it('is taken as bare when its own id is another one', () => {
    expect(decodeReply(message('{"id":"other","response":1}'), 'x')).toEqual({
      id: 'x',
      packet: { response: { id: 'other', response: 1 }, isDisposed: true },
    });
  });
});

describe('a message is', () => {
  const call = (payload: string, properties?: PublishProperties) =>
    new CallReader((pattern: object) => JSON.stringify(pattern), undefined).read(
      message(payload, properties),
      autoCodec,
    );

  it('an event when nobody waits for a reply', () => {
    expect(call('{"a":1}')).toEqual({ data: { a: 1 }, metadata: undefined, reply: undefined });
    expect(call('{"pattern":"t","data":1}')).toEqual({ data: 1, metadata: undefined, reply: undefined });
  });

  it('a request to a built-in peer, or to one of ours on MQTT 3.1.1', () => {
    expect(call('{"pattern":"t","data":1,"id":"x"}').reply).toEqual({
      request: expect.objectContaining({ topic: 't' }),
      topic: 't/reply',
      correlationData: undefined,
      id: 'x',
      qos: 1,
      hasProperties: false,
      codec: autoCodec,
    });
    expect(call('{"pattern":"t","data":1,"id":"x","replyTo":"inbox"}').reply).toMatchObject({
      topic: 'inbox',
      id: 'x',
    });
  });

  it('a request with an MQTT 5 response topic, in an envelope or bare', () => {
    const properties = { responseTopic: 'inbox', correlationData: Buffer.from('c') };

    expect(call('{"pattern":"t","data":1,"id":"x"}', properties)).toMatchObject({
      data: 1,
      reply: { topic: 'inbox', id: 'x', hasProperties: true },
    });
    expect(call('{"t":1}', properties)).toMatchObject({
      data: { t: 1 },
      reply: { topic: 'inbox', id: undefined, correlationData: Buffer.from('c') },
    });
  });

  it('an event when the reply topic cannot be published to', () => {
    expect(call('{"pattern":"t","data":1,"id":"x","replyTo":"a/#"}')).toMatchObject({ data: 1, reply: undefined });
    expect(call('1', { responseTopic: '+' })).toMatchObject({ reply: undefined });
  });
});
