import { EventLoop, type ResolveSrv } from 'nestjs-rumqtt/eventloop';

void new EventLoop({ reconnect: { preferFirst: true } });
void new EventLoop({ reconnect: { preferFirst: { returnAfterMs: 60_000 } } });
// @ts-expect-error a time has a name
void new EventLoop({ reconnect: { preferFirst: 60_000 } });

const resolveSrv: ResolveSrv = async (_name, signal) =>
  signal.aborted ? [] : [{ name: 'broker.example', port: 1883, priority: 0, weight: 0 }];
void new EventLoop({ url: 'mqtt+srv://example' }, { resolveSrv });
