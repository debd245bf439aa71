import { Controller, type Type } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { MqttClient, MqttEvent, MqttHandlersError, MqttServer, type MqttHandlerIssue } from 'nestjs-rumqtt';
import { expect, it } from 'vitest';
import { AedesBroker } from '../../fixtures/aedes.js';
import { startMicroservice, type TestBroker } from './support.js';

const nowhere: TestBroker = { url: 'mqtt://127.0.0.1:1', protocolVersion: 5, copies: 'one' };

@Controller()
class Sound {
  @MqttEvent('sound')
  handle(): void {
    // Nothing is wrong with it.
  }
}

function handlerOf(pattern: unknown, extras: object = {}): Type {
  @Controller()
  class Misbound {
    @MqttEvent(pattern as string, extras)
    handle(): void {
      // Never called.
    }
  }
  return Misbound;
}

async function failureOf(controllers: Type[], broker = nowhere): Promise<MqttHandlersError> {
  return startMicroservice(broker, { controllers }).then(
    () => expect.unreachable('it started'),
    (error: unknown) => {
      expect(error).toBeInstanceOf(MqttHandlersError);
      return error as MqttHandlersError;
    },
  );
}

it('tells every mistake of every handler in one error, before it connects', async () => {
  @Controller()
  class Requests {
    @MessagePattern('sum', { share: 'a/b', noLocal: 'yes', retry: { attempts: 0 } })
    sum(): void {
      // Never called.
    }
  }

  const error = await failureOf([
    Sound,
    handlerOf('plants/#/x', { qos: 3, acknowledge: 'later' }),
    handlerOf(/plants/),
    Requests,
  ]);

  expect(error.code).toBe('MQTT_INVALID_HANDLERS');
  expect(error.issues).toEqual<MqttHandlerIssue[]>([
    { pattern: 'plants/#/x', option: 'qos', value: '3', expected: 'one of 0, 1, 2' },
    {
      pattern: 'plants/#/x',
      option: 'acknowledge',
      value: "'later'",
      expected: "one of 'on-receive', 'after-handler', 'manual'",
    },
    { pattern: 'plants/#/x', option: 'pattern', value: "'plants/#/x'", expected: '"#" only as the last level' },
    {
      pattern: '/plants/',
      option: 'pattern',
      value: '/plants/',
      expected: expect.stringContaining('a topic filter such as "plants/+plant"'),
    },
    { pattern: 'sum', option: 'noLocal', value: "'yes'", expected: 'one of true, false' },
    { pattern: 'sum', option: 'retry.attempts', value: '0', expected: 'an integer from 1 to 1000' },
    { pattern: 'sum', option: 'share', value: "'a/b'", expected: 'a group name without "/", "+" and "#"' },
  ]);
  expect(error.message).toContain('qos of the handler for "plants/#/x" is 3, expected one of 0, 1, 2; acknowledge');
  expect(error.message).toContain('; retry.attempts of the handler for "sum" is 0');
});

it.each<[string, unknown]>([
  ['nothing', undefined],
  ['null', null],
  ['an empty text', ''],
  ['no number', Number.NaN],
  ['a class', new Map([['cmd', 'a']])],
  ['an object with a regular expression', { cmd: /a/ }],
  ['an object with nothing in it', { cmd: undefined }],
  ['an object so deep that Nest cuts it', { a: { a: { a: { a: { a: { a: { a: 1 } } } } } } }],
  ['an object so wide that Nest cuts it', Object.fromEntries(Array.from({ length: 21 }, (_, i) => [`k${i}`, i]))],
  ['an object whose topic is no filter', { cmd: 'a+b' }],
])('is no pattern: %s', async (_name, pattern) => {
  const error = await failureOf([handlerOf(pattern)]);

  expect(error.issues).toMatchObject([{ option: 'pattern' }]);
});

it('never shows what an option carries besides its name', async () => {
  const error = await failureOf([handlerOf('a', { deadLetter: { topic: 'dead', password: 'hunter2' } })]);

  expect(error.message).toContain('deadLetter.password');
  expect(error.message).not.toContain('hunter2');
});

it('leaves the broker alone', async () => {
  await using broker = await AedesBroker.start();
  let connects = 0;
  broker.aedes.on('client', () => connects++);

  await failureOf([handlerOf('a/#/b')], { url: broker.url, protocolVersion: 4, copies: 'one' });

  expect(connects).toBe(0);
});

it('is not hidden from whoever lists the handlers without a connection', () => {
  const server = new MqttServer({ url: nowhere.url });
  server.addHandler('a/#/b', async () => undefined, true);

  expect(() => server.describeHandlers()).toThrow(MqttHandlersError);
});

it('starts with handlers that are as they should be, object patterns included', async () => {
  await using broker = await AedesBroker.start();
  await using started = await startMicroservice(
    { url: broker.url, protocolVersion: 4, copies: 'one' },
    { controllers: [Sound, handlerOf({ cmd: { name: 'a', version: 1 } }), handlerOf(3)] },
  );

  expect(started.server.describeHandlers().map(({ filter }) => filter)).toEqual([
    'sound',
    '{"cmd":{"name":"a","version":1}}',
    '3',
  ]);
  expect(started.app.get(MqttClient).unwrap().negotiated).toBeDefined();
});
