import { expectTypeOf } from 'vitest';
import { EventLoop, MqttProxyError, type ProxyOptions, type ProxyProblem } from 'nestjs-rumqtt/eventloop';

void new EventLoop({ proxy: { url: 'http://proxy:3128' } });
void new EventLoop({ proxy: { url: 'http://proxy', credentials: { username: 'a', password: 'b' } } });
void new EventLoop({ proxy: { url: 'http://proxy', credentials: async () => ({ username: 'a', password: 'b' }) } });
void new EventLoop({ proxy: { url: 'http://proxy', headers: { 'User-Agent': 'a' } } });
void new EventLoop({ proxy: { fromEnvironment: true, headers: async () => ({ 'User-Agent': 'a' }) } });

// @ts-expect-error either a URL or the environment
void new EventLoop({ proxy: {} });
// @ts-expect-error not both
void new EventLoop({ proxy: { url: 'http://proxy', fromEnvironment: true } });
// @ts-expect-error a URL alone is no proxy
void new EventLoop({ proxy: 'http://proxy' });
// @ts-expect-error a header is text
void new EventLoop({ proxy: { url: 'http://proxy', headers: { 'Max-Forwards': 5 } } });

expectTypeOf<ProxyOptions>().not.toBeAny();
declare const error: MqttProxyError;
expectTypeOf(error.problem).toEqualTypeOf<ProxyProblem>();
expectTypeOf(error.status).toEqualTypeOf<number | undefined>();
