// Packs the package and looks at the tarball as its users will: the manifest (publint), the types (attw), and every
// entry point loaded by `import` and by `require` and every command run, beside Nest 12 and beside Nest 11.
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
const entryPoints = Object.keys(manifest.exports)
  .filter((path) => !path.endsWith('.json'))
  .map((path) => path.replace('.', manifest.name));
const optionalPeers = Object.keys(manifest.peerDependenciesMeta);
/** Optional peers without which a subpath cannot be loaded. */
const peersOfSubpaths = {
  [`${manifest.name}/opentelemetry`]: '@opentelemetry/api',
  [`${manifest.name}/prometheus`]: 'prom-client',
  [`${manifest.name}/terminus`]: '@nestjs/terminus',
};

const smokeTests = (names) => ({
  'smoke.mjs': `
    import { strict as assert } from 'node:assert';
    for (const name of ${JSON.stringify(names)}) {
      assert.notEqual(Object.keys(await import(name)).length, 0, name + ' exports nothing');
    }
    // This optional peer is not installed here.
    const { EventLoop } = await import('${manifest.name}/eventloop');
    assert.throws(() => new EventLoop({ url: 'ws://broker' }), /npm install ws/);
    const { MqttServer } = await import('${manifest.name}');
    for (const [codec, name] of [['cbor', 'cborg'], ['msgpack', '@msgpack/msgpack']]) {
      const error = await new Promise((listened) => new MqttServer({ codec }).listen(listened));
      assert.equal(error?.code, 'MQTT_MISSING_PACKAGE');
      assert.match(error.message, new RegExp('npm install ' + name));
    }`,
  'smoke.cjs': `
    const { strict: assert } = require('node:assert');
    const required = ${JSON.stringify(names)}.map((name) => [name, require(name)]);
    const { MqttServer } = require('${manifest.name}');
    const { Server } = require('@nestjs/microservices');
    assert.ok(MqttServer.prototype instanceof Server, 'MqttServer extends another copy of Nest');
    (async () => {
      for (const [name, module] of required) assert.equal(module, await import(name), name + ' is loaded twice');
    })();`,
});

const directory = mkdtempSync(join(tmpdir(), `${manifest.name}-`));
process.on('exit', () => rmSync(directory, { recursive: true }));

function run(command, args, cwd) {
  console.log(`\n--- ${command} ${args.join(' ')}`);
  execFileSync(command, args, { cwd, stdio: 'inherit' });
}

/** A project with what npm would install: the package unpacked, its dependencies and its required peers, nothing else. */
function install(tarball, project, folders) {
  const modules = join(project, 'node_modules');
  mkdirSync(join(modules, manifest.name), { recursive: true });
  run('tar', ['-xzf', tarball, '-C', join(modules, manifest.name), '--strip-components=1']);

  const names = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
  link(
    names.filter((name) => !optionalPeers.includes(name)),
    project,
    folders,
  );
}

/** Links packages from the first of `folders` that has them, so that nothing is downloaded. */
function link(names, project, folders) {
  for (const name of names) {
    const source = folders.map((folder) => resolve(folder, name)).find(existsSync);
    const target = join(project, 'node_modules', name);
    mkdirSync(dirname(target), { recursive: true });
    symlinkSync(source, target);
  }
}

function load(names, project) {
  for (const [name, source] of Object.entries(smokeTests(names))) {
    writeFileSync(join(project, name), source);
    run(process.execPath, [name], project);
  }
}

/** The commands of the package, run by name as npm installs them. */
function runCommands(project) {
  writeFileSync(
    join(project, 'app.module.mjs'),
    `
    import { Controller, Module } from '@nestjs/common';
    import { MqttEvent, MqttModule } from '${manifest.name}';
    class Plants { water() {} }
    Controller()(Plants);
    MqttEvent('plants/+plant')(Plants.prototype, 'water', Object.getOwnPropertyDescriptor(Plants.prototype, 'water'));
    export class AppModule {}
    Module({ imports: [MqttModule.register()], controllers: [Plants] })(AppModule);`,
  );
  mkdirSync(join(project, 'node_modules/.bin'));
  for (const [name, path] of Object.entries(manifest.bin)) {
    const installed = join(project, 'node_modules', manifest.name, path);
    chmodSync(installed, 0o755);
    symlinkSync(installed, join(project, 'node_modules/.bin', name));
  }
  run('node_modules/.bin/nestjs-rumqtt-asyncapi', ['app.module.mjs', '--out', 'asyncapi.json'], project);
  const { channels } = JSON.parse(readFileSync(join(project, 'asyncapi.json'), 'utf8'));
  assert.deepEqual(Object.keys(channels), ['plants-plant']);
}

run('npm', ['pack', '--loglevel=warn', '--pack-destination', directory]);
const tarball = join(directory, readdirSync(directory)[0]);
run('node_modules/.bin/publint', ['run', tarball, '--strict']);
run('node_modules/.bin/attw', [tarball, '--profile', 'esm-only']);

for (const [nest, folders] of Object.entries({
  'nest-12': ['node_modules'],
  'nest-11': ['test/nest-11/node_modules', 'node_modules'],
})) {
  const project = join(directory, nest);
  install(tarball, project, folders);
  load(
    entryPoints.filter((path) => !(path in peersOfSubpaths)),
    project,
  );
  runCommands(project);
  link(Object.values(peersOfSubpaths), project, folders);
  load(entryPoints, project);
}
