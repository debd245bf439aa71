import { execFile } from 'node:child_process';
import { createServer, type AddressInfo } from 'node:net';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { transpile } from '../../fixtures/transpile.js';

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Compiled application modules; `URL` is replaced by that of a port which must not be connected to. */
const modules = {
  'app.module.js': `
    import { Controller, Module } from '@nestjs/common';
    import { MqttEvent, MqttMessage, MqttModule } from '../index.js';
    class Plants { water() {} count() {} }
    Controller()(Plants);
    const method = (name) => [Plants.prototype, name, Object.getOwnPropertyDescriptor(Plants.prototype, name)];
    MqttEvent('plants/+plant')(...method('water'));
    MqttMessage('count', { name: 'factory' })(...method('count'));
    setInterval(() => undefined, 1_000);
    const imports = [MqttModule.register({ url: 'URL' }), MqttModule.register({ url: 'URL', name: 'factory' })];
    export class AppModule {
      onModuleInit() { throw new Error('it was initialised'); }
    }
    Module({ imports, controllers: [Plants] })(AppModule);
    export class Bare {}
    export const dynamic = Promise.resolve({ module: Bare, imports: [imports[0]], controllers: [Plants] });
    export const answer = 42;
    export class Broken { constructor() { throw new Error('no database'); } }
    Module({ imports })(Broken);`,
  'default.module.js': `
    import { Module } from '@nestjs/common';
    import { MqttModule } from '../index.js';
    export default class Root {}
    Module({ imports: [MqttModule.register()] })(Root);`,
  'none.js': '',
  'throws.js': `throw new Error('no settings');`,
};

describe('nestjs-rumqtt-asyncapi', () => {
  let directory: string;
  let application: string;
  let connections = 0;
  const port = createServer((socket) => {
    connections++;
    socket.destroy();
  });

  beforeAll(async () => {
    await new Promise<void>((resolve) => port.listen(0, '127.0.0.1', resolve));
    directory = transpile('lib');
    application = join(directory, 'application');
    mkdirSync(application);
    const url = `mqtt://127.0.0.1:${(port.address() as AddressInfo).port}`;
    for (const [name, source] of Object.entries(modules)) {
      writeFileSync(join(application, name), source.replaceAll('URL', url));
    }
    writeFileSync(join(application, 'package.json'), '{ "type": "module", "name": "plants", "version": "1.2.3" }');
  });

  afterAll(() => {
    port.close();
    rmSync(directory, { recursive: true });
  });

  function run(...args: string[]): Promise<Outcome> {
    return new Promise((resolve) => {
      const command = [join(directory, 'asyncapi/command.js'), ...args];
      execFile(process.execPath, command, { cwd: application }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
      });
    });
  }

  it('prints the document of all registrations, neither connects nor initialises, and ends', async () => {
    const { code, stdout, stderr } = await run('app.module.js');

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({
      asyncapi: '3.0.0',
      info: { title: 'plants', version: '1.2.3' },
      channels: { 'plants-plant': { address: 'plants/{plant}' }, 'factory-count': { address: 'count' } },
    });
    expect(connections).toBe(0);
  });

  it('takes an export by its name, writes to a file, and says what the document is called', async () => {
    const told = ['--out', 'asyncapi.json', '--title', 'Greenhouse', '--version', '7'];
    const { code, stdout } = await run('app.module.js#dynamic', ...told);

    expect([code, stdout]).toEqual([0, '']);
    const document = JSON.parse(readFileSync(join(application, 'asyncapi.json'), 'utf8')) as { channels: object };
    expect(document).toMatchObject({ info: { title: 'Greenhouse', version: '7' } });
    expect(Object.keys(document.channels)).toEqual(['plants-plant']);
  });

  it('takes the default export of a module without AppModule', async () => {
    const { code, stdout } = await run('default.module.js');

    expect([code, JSON.parse(stdout)]).toMatchObject([0, { channels: {} }]);
  });

  it.each([
    ['missing.js', 'missing.js: no such file; build the application and give the path of the compiled module'],
    ['none.js', 'none.js: no export AppModule or default; it exports nothing: name the module as none.js#Name'],
    ['app.module.js#App', 'app.module.js: no export App; it exports AppModule, Bare, Broken, answer, dynamic: name'],
    ['app.module.js#answer', 'app.module.js: the export answer is neither a module class nor a dynamic module'],
    ['app.module.js#Bare', 'app.module.js#Bare: no MqttModule is registered in this application'],
    ['app.module.js#Broken', 'app.module.js#Broken: the application could not be created: no database'],
    ['throws.js', 'throws.js: could not be imported: no settings'],
  ])('fails for %s and says why', async (target, message) => {
    const { code, stdout, stderr } = await run(target);

    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain(`nestjs-rumqtt-asyncapi: ${message}`);
  });

  it('says so when the file cannot be written', async () => {
    const { code, stderr } = await run('default.module.js', '--out', 'nowhere/asyncapi.json');

    expect(code).toBe(1);
    expect(stderr).toContain('--out nowhere/asyncapi.json: could not be written: ENOENT');
  });

  it('tells of wrong arguments with the usage and another exit code', async () => {
    const outcomes = [await run(), await run('a.js', 'b.js'), await run('a.js', '--nonsense')];

    expect(outcomes.map(({ code }) => code)).toEqual([2, 2, 2]);
    for (const { stderr } of outcomes) expect(stderr).toContain('nestjs-rumqtt-asyncapi <compiled module>[#export]');
    expect(outcomes[2]!.stderr).toContain('--nonsense');
  });

  it('prints its usage', async () => {
    const { code, stdout } = await run('--help');

    expect(code).toBe(0);
    expect(stdout).toContain('--title <text>');
  });
});
