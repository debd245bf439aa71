import 'reflect-metadata';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Injectable } from '@nestjs/common';
import { Server } from '@nestjs/microservices';
import { Observable } from 'rxjs';
import { describe, expect, it } from 'vitest';

// Guards the alias in vitest.config.ts: without it the end-to-end tests would run twice on Nest 12, and pass.
describe('the nest-11 project', () => {
  const require = createRequire(new URL('../nest-11/package.json', import.meta.url));

  it('sees the very classes that the CommonJS packages of Nest 11 see', () => {
    const manifest = JSON.parse(readFileSync(require.resolve('@nestjs/microservices/package.json'), 'utf8'));

    expect(manifest.version).toMatch(/^11\./);
    expect(require('@nestjs/microservices').Server).toBe(Server);
    expect(require('@nestjs/common').Injectable).toBe(Injectable);
  });

  it('shares rxjs and reflect-metadata with them', () => {
    const { getMetadata } = Reflect;
    require('reflect-metadata');

    expect(require('rxjs').Observable).toBe(Observable);
    expect(Reflect.getMetadata).toBe(getMetadata);
  });
});
