// Packs the package and looks at the tarball as its users will: the manifest (publint), the types (attw), and every
// entry point loaded by `import` and by `require`, beside Nest 12 and beside Nest 11.
import { execFileSync } from 'node:child_process';
import {
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

const smokeTests = {
  'smoke.mjs': `
    import { strict as assert } from 'node:assert';
    for (const name of ${JSON.stringify(entryPoints)}) {
      assert.notEqual(Object.keys(await import(name)).length, 0, name + ' exports nothing');
    }
    // No optional peer is installed here.
    const { EventLoop } = await import('${manifest.name}/eventloop');
    assert.throws(() => new EventLoop({ url: 'ws://broker' }), /npm install ws/);`,
  'smoke.cjs': `
    const { strict: assert } = require('node:assert');
    const required = ${JSON.stringify(entryPoints)}.map((name) => [name, require(name)]);
    const { MqttServer } = require('${manifest.name}');
    const { Server } = require('@nestjs/microservices');
    assert.ok(MqttServer.prototype instanceof Server, 'MqttServer extends another copy of Nest');
    (async () => {
      for (const [name, module] of required) assert.equal(module, await import(name), name + ' is loaded twice');
    })();`,
};

const directory = mkdtempSync(join(tmpdir(), `${manifest.name}-`));
process.on('exit', () => rmSync(directory, { recursive: true }));

function run(command, args, cwd) {
  console.log(`\n--- ${command} ${args.join(' ')}`);
  execFileSync(command, args, { cwd, stdio: 'inherit' });
}

/**
 * A project with what npm would install: the package unpacked, its dependencies and its required peers, nothing else.
 * They are linked from `folders`, the first that has them, so that nothing is downloaded.
 */
function install(tarball, project, folders) {
  const modules = join(project, 'node_modules');
  mkdirSync(join(modules, manifest.name), { recursive: true });
  run('tar', ['-xzf', tarball, '-C', join(modules, manifest.name), '--strip-components=1']);

  for (const name of Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })) {
    if (manifest.peerDependenciesMeta?.[name]?.optional) continue;
    const source = folders.map((folder) => resolve(folder, name)).find(existsSync);
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(source, join(modules, name));
  }
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
  for (const [name, source] of Object.entries(smokeTests)) {
    writeFileSync(join(project, name), source);
    run(process.execPath, [name], project);
  }
}
