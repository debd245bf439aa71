import { digits, type Line } from './report.js';

const ROW_NAMES: Readonly<Record<string, string>> = {
  'publish-qos0': 'publish QoS 0',
  'publish-qos1': 'publish QoS 1',
  'publish-qos2': 'publish QoS 2',
  'receive-qos0': 'receive QoS 0',
  'receive-qos1': 'receive QoS 1',
  'receive-qos2': 'receive QoS 2',
  'events-1': 'event, 1 handler',
  'events-100': 'event, 100 handlers',
  'events-1000': 'event, 1 000 handlers',
};
const PEERS = ['mqttjs', 'libmosquitto', 'builtin'] as const;
const PEER_TITLES = { mqttjs: 'MQTT.js', libmosquitto: 'libmosquitto (C)', builtin: 'Nest built-in' };
const GRID = [1, 2, 5, 10, 20, 50, 100, 200];

const WIDTH = 720;
const LEFT = 170;
const RIGHT = 60;
const TOP = 64;
const BAR = 11;
const BETWEEN_ROWS = 9;

/** How many times our CPU time the peers need, on a logarithmic scale that starts at ours. */
export function chart(lines: readonly Line[]): string {
  const cpu = lines.filter(({ metric, row }) => metric === 'cpuMicros' && Object.hasOwn(ROW_NAMES, row));
  const rows = [...new Set(cpu.map(({ row }) => row))];
  const largest = Math.max(...cpu.map(({ ratio }) => ratio ?? 1));
  const end = GRID.find((value) => value >= largest) ?? largest;
  const x = (ratio: number): number => LEFT + (Math.log(Math.max(1, ratio)) / Math.log(end)) * (WIDTH - LEFT - RIGHT);

  const body: string[] = [];
  let y = TOP;
  for (const row of rows) {
    const ours = cpu.find((line) => line.row === row && line.entrant === 'ours');
    const peers = PEERS.flatMap((name) => cpu.filter((line) => line.row === row && line.entrant === name));
    // Of equal height, with one bar or two.
    const middle = y + BAR;
    let barY = peers.length === 1 ? y + BAR / 2 : y;
    body.push(text(LEFT - 10, middle + 0.5, `${ROW_NAMES[row]}`, 'label'));
    if (ours) body.push(text(LEFT - 10, middle + 11.5, `${digits(ours.median)} µs`, 'label small'));
    for (const { entrant, ratio = 1 } of peers) {
      const width = Math.max(1, x(ratio) - LEFT).toFixed(1);
      body.push(`<rect class="${entrant}" x="${LEFT}" y="${barY}" width="${width}" height="${BAR - 2}" rx="1.5"/>`);
      body.push(text(x(ratio) + 5, barY + BAR - 3, `${digits(ratio)}×`, 'value'));
      barY += BAR;
    }
    y += 2 * BAR + BETWEEN_ROWS;
  }
  const shown = GRID.filter((value) => value <= end);
  const grid = shown.flatMap((value) => [
    `<line class="${value === 1 ? 'ours' : 'grid'}" x1="${x(value).toFixed(1)}" x2="${x(value).toFixed(1)}" y1="${TOP - 6}" y2="${y}"/>`,
    text(x(value), TOP - 11, value === 1 ? 'nestjs-rumqtt' : `${value}×`, 'tick'),
  ]);
  let legendX = LEFT;
  const legend = PEERS.flatMap((name) => {
    const at = legendX;
    legendX += 30 + PEER_TITLES[name].length * 7;
    return [
      `<rect class="${name}" x="${at}" y="22" width="10" height="10" rx="1.5"/>`,
      text(at + 15, 31, PEER_TITLES[name], 'key'),
    ];
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y + 6}" width="${WIDTH}" role="img" aria-label="CPU time a message, as a multiple of nestjs-rumqtt's">
<style>
text { font: 12px system-ui, sans-serif; fill: #24292f }
.label { text-anchor: end }
.small { font-size: 10px; fill: #6e7781 }
.value { font-size: 10px }
.tick { font-size: 10px; fill: #6e7781; text-anchor: middle }
.grid { stroke: #8c959f; stroke-opacity: .35 }
.ours { stroke: #1a7f37; stroke-width: 2 }
.mqttjs { fill: #bf5f0b }
.libmosquitto { fill: #57748f }
.builtin { fill: #c2255c }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.small, .tick { fill: #9198a1 }
.ours { stroke: #3fb950 }
.mqttjs { fill: #e0883a }
.libmosquitto { fill: #8fb0cf }
.builtin { fill: #f0729c }
}
</style>
${text(LEFT, 12, 'CPU time a message, as a multiple of what nestjs-rumqtt takes (logarithmic)', 'key')}
${[...legend, ...grid, ...body].join('\n')}
</svg>
`;
}

function text(x: number, y: number, content: string, className: string): string {
  return `<text class="${className}" x="${x.toFixed(1)}" y="${y.toFixed(1)}">${content}</text>`;
}
