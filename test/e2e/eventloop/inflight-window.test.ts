import { expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';

test('R7: with a window of 5 and no acknowledgements the broker sees 5 publishes and then none', async () => {
  const { loop, clock, connect } = scriptedLoop({ inflight: 5, keepAliveSeconds: 60 });
  const connection = await connect();
  for (let i = 1; i <= 10; i++) {
    void loop.publish('hello/world', Buffer.from([i, 1, 2, 3]), { qos: 1 }).catch(() => {});
    await clock.advance(1_000);
  }
  for (let i = 1; i <= 5; i++) expect((await connection.next('publish')).payload).toEqual(Buffer.from([i, 1, 2, 3]));
  await connection.nothing(clock);
  expect(loop.stats()).toMatchObject({ inflight: 5, queued: 5 });
});
