import { expect, test, vi } from 'vitest';
import { Emitter } from '../../../lib/eventloop/emitter.js';

interface Events {
  number: number;
  nothing: undefined;
}

test('listeners are called in order of their registration, each with the payload of its event', () => {
  const emitter = new Emitter<Events>();
  const calls: unknown[] = [];
  emitter.on('number', (value) => calls.push(['first', value]));
  emitter.on('number', (value) => calls.push(['second', value]));
  emitter.on('nothing', (value) => calls.push(['nothing', value]));
  emitter.emit('number', 5);
  expect(calls).toEqual([
    ['first', 5],
    ['second', 5],
  ]);
  emitter.emit('nothing', undefined);
  expect(calls.at(-1)).toEqual(['nothing', undefined]);
});

test('what `on` returns removes the listener, and no other, however often it is called', () => {
  const emitter = new Emitter<Events>();
  const calls: string[] = [];
  const remove = emitter.on('number', () => calls.push('removed'));
  emitter.on('number', () => calls.push('kept'));
  remove();
  remove();
  emitter.emit('number', 1);
  expect(calls).toEqual(['kept']);
  expect(emitter.hasListeners('number')).toBe(true);
  expect(emitter.hasListeners('nothing')).toBe(false);
});

test('a listener may remove itself and others while it is called', () => {
  const emitter = new Emitter<Events>();
  const calls: string[] = [];
  const removeFirst = emitter.on('number', () => {
    calls.push('first');
    removeFirst();
    removeThird();
  });
  emitter.on('number', () => calls.push('second'));
  const removeThird = emitter.on('number', () => calls.push('third'));
  emitter.emit('number', 1);
  emitter.emit('number', 2);
  expect(calls).toEqual(['first', 'second', 'second']);
});

test('emitting what nobody listens to does nothing', () => {
  expect(() => new Emitter<Events>().emit('number', 1)).not.toThrow();
});

test('a listener that throws stops neither the others nor the emitter; its error surfaces outside', () => {
  const surfaced: (() => void)[] = [];
  vi.stubGlobal('queueMicrotask', (callback: () => void) => surfaced.push(callback));
  const emitter = new Emitter<Events>();
  const calls: string[] = [];
  emitter.on('number', () => {
    throw new Error('in a listener');
  });
  emitter.on('number', () => calls.push('second'));
  expect(() => emitter.emit('number', 1)).not.toThrow();
  expect(calls).toEqual(['second']);
  expect(surfaced).toHaveLength(1);
  expect(surfaced[0]).toThrow('in a listener');
  vi.unstubAllGlobals();
});
