import type { Duplex } from 'node:stream';
import type { ConnectHook, ConnectTarget, EventLoopOptions, MqttTlsError, TlsFailure } from 'nestjs-rumqtt/eventloop';
import { expectTypeOf } from 'vitest';

declare const stream: Duplex;
declare const target: ConnectTarget;
declare const error: MqttTlsError;

expectTypeOf(() => stream).toExtend<ConnectHook>();
expectTypeOf(async (_target: ConnectTarget, _signal: AbortSignal) => Promise.resolve(stream)).toExtend<ConnectHook>();
expectTypeOf(error.reason).toEqualTypeOf<TlsFailure>();

if (target.scheme === 'unix') {
  expectTypeOf(target.path).toBeString();
  // @ts-expect-error a Unix socket has no port
  void target.port;
} else {
  expectTypeOf(target.port).toBeNumber();
}

const options: EventLoopOptions = {
  tls: { ca: ['', new Uint8Array()], caFile: ['a', 'b'], alpnProtocols: ['mqtt'], minVersion: 'TLSv1.3' },
  webSocket: { headers: () => ({ a: 'b' }), url: ({ scheme }) => new URL(`${scheme}://h`) },
};
void options;

// @ts-expect-error one client certificate, not several
void ({ tls: { cert: [''] } } satisfies EventLoopOptions);
// @ts-expect-error older versions of TLS are broken
void ({ tls: { minVersion: 'TLSv1.1' } } satisfies EventLoopOptions);
// @ts-expect-error a header is text
void ({ webSocket: { headers: { a: 1 } } } satisfies EventLoopOptions);
