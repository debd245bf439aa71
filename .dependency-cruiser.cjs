const manifest = require('./package.json');

const declared = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
/** The command, and the index of each subpath, for those who have its optional peer. */
const entryPoints =
  '^lib/(asyncapi/command|((asyncapi|eventloop|opentelemetry|prometheus|terminus|testing)/)?index)[.]ts$';
const core = '^lib/eventloop/(session|admission|reconnect|codec)/';
const vocabulary = '^lib/eventloop/([a-z-]*errors|clock|events|messages|negotiated|options|stats|text|topics)[.]ts$';

/** The layers of CONTRIBUTING.md: arrows point down only. test/architecture/layers.test.ts breaks each rule once. */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'lib-imports-what-exists',
      severity: 'error',
      from: { path: '^lib/' },
      to: { couldNotResolve: true },
    },
    {
      name: 'lib-stands-alone',
      comment: 'Published code imports nothing from tests, samples, benchmarks or tools.',
      severity: 'error',
      from: { path: '^lib/' },
      to: { pathNot: ['^lib/', 'node_modules/'], dependencyTypesNot: ['core'], couldNotResolve: false },
    },
    {
      name: 'lib-declares-its-dependencies',
      comment: 'Packages are those of dependencies and peerDependencies, never a development tool.',
      severity: 'error',
      from: { path: '^lib/' },
      to: { path: 'node_modules/', pathNot: `node_modules/(@types/)?(${declared.join('|')})/` },
    },
    {
      name: 'lib-has-no-dead-files',
      comment: 'Every file is reached from one of the entry points.',
      severity: 'error',
      from: { path: entryPoints },
      to: { path: '^lib/', pathNot: entryPoints, reachable: false },
    },
    {
      name: 'peers-of-subpaths-stay-there',
      comment: 'What loads without an optional peer does not need its types either.',
      severity: 'error',
      from: { path: '^lib/', pathNot: '^lib/(opentelemetry|prometheus|terminus)/' },
      to: { path: 'node_modules/(@nestjs/terminus|@opentelemetry|prom-client)/' },
    },
    {
      name: 'subpaths-are-for-users-only',
      comment: 'What users of optional peers import is not imported by anything else.',
      severity: 'error',
      from: { path: '^lib/', pathNot: '^lib/(asyncapi|opentelemetry|prometheus|terminus)/' },
      to: { path: '^lib/(asyncapi|opentelemetry|prometheus|terminus)/' },
    },
    {
      name: 'eventloop-knows-no-framework',
      severity: 'error',
      from: { path: '^lib/eventloop/' },
      to: { path: 'node_modules/(@nestjs/|rxjs/|reflect-metadata/)' },
    },
    {
      name: 'eventloop-knows-nothing-beside-it',
      severity: 'error',
      from: { path: '^lib/eventloop/' },
      to: { path: '^lib/', pathNot: '^lib/eventloop/' },
    },
    {
      name: 'core-does-no-io',
      comment: 'Sockets, timers, files and randomness belong to the driver. The globals are checked in .oxlintrc.json.',
      severity: 'error',
      from: { path: core },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?(assert|buffer|util)$' },
    },
    {
      name: 'core-knows-no-package-but-the-codec',
      severity: 'error',
      from: { path: core },
      to: { path: 'node_modules/', pathNot: 'node_modules/mqtt-packet/' },
    },
    {
      name: 'core-knows-no-driver',
      comment:
        'Beside itself, the core knows the words that all of the event loop uses, and none of the files that do things.',
      severity: 'error',
      from: { path: core },
      to: { path: '^lib/eventloop/', pathNot: [core, vocabulary] },
    },
    {
      name: 'core-is-given-the-time',
      comment: 'The type of a clock is fine, the system clock is not.',
      severity: 'error',
      from: { path: core },
      to: { path: '^lib/eventloop/clock[.]ts$', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'testing-stands-on-the-event-loop',
      comment: 'It may know types of the Nest side; it loads no part of it, so that it works without Nest.',
      severity: 'error',
      from: { path: '^lib/testing/' },
      to: {
        path: '^lib/|node_modules/',
        pathNot: '^lib/(testing|eventloop)/|node_modules/mqtt-packet/',
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'testing-is-for-users-only',
      severity: 'error',
      from: { path: '^lib/', pathNot: '^lib/testing/' },
      to: { path: '^lib/testing/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    // Types count as imports: a layer that needs the types of another one knows it.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { conditionNames: ['import', 'types', 'node', 'default'], exportsFields: ['exports'] },
  },
};
