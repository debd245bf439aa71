import { describe, expect, test } from 'vitest';
import { NoProxy } from '../../../../lib/eventloop/network/no-proxy.js';

describe('NO_PROXY', () => {
  test.each([
    ['*', 'broker.example', true],
    ['broker.example', 'broker.example', true],
    ['broker.example', 'BROKER.example.', true],
    ['Broker.Example', 'broker.example', true],
    ['broker.example', 'eu.broker.example', true],
    ['broker.example', 'otherbroker.example', false],
    ['.example', 'broker.example', true],
    ['.broker.example', 'broker.example', true],
    ['*.broker.example', 'eu.broker.example', true],
    ['broker.example:1883', 'broker.example', true],
    ['broker.example:8883', 'broker.example', false],
    ['a.example, b.example', 'b.example', true],
    ['a.example b.example', 'b.example', true],
    ['', 'broker.example', false],
    [' , ', 'broker.example', false],
    ['10.1.2.3', '10.1.2.3', true],
    ['10.1.2.3', '10.1.2.4', false],
    ['10.1.2.3:1883', '10.1.2.3', true],
    ['10.1.2.3:1884', '10.1.2.3', false],
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.0.0.0/33', '10.0.0.1', false],
    ['10.0.0.0/', '10.0.0.1', false],
    ['10.0.0.0/8', '10.example', false],
    ['fd00::/8', 'fd12::1', true],
    ['fd00::/8', 'fe80::1', false],
    ['fd00::1', 'fd00:0::1', true],
    ['[fd00::1]', 'fd00::1', true],
    ['[fd00::1]:1883', 'fd00::1', true],
    ['[fd00::1]:1884', 'fd00::1', false],
  ])('"%s" and %s on port 1883: %s', (entries, host, covered) => {
    expect(new NoProxy(entries).covers(host, 1883)).toBe(covered);
  });

  test.each(['localhost', 'plant.localhost', '127.0.0.1', '127.9.9.9', '::1'])(
    '%s is never reached through a proxy of the environment',
    (host) => {
      expect(new NoProxy('').covers(host, 1883)).toBe(true);
    },
  );
});
