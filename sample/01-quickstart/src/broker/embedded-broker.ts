import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Aedes } from 'aedes';

const HOST = '127.0.0.1';
/** Ample for deliveries inside one process. */
const DELIVERY_MS = 200;

/** An MQTT broker in this process, which can be taken away for a while. It keeps nothing: after a stop, every session is gone. */
export class EmbeddedBroker {
  readonly url: string;
  private aedes: Aedes | undefined;
  private server: Server | undefined;
  private readonly sockets = new Set<Socket>();
  private stopping = false;

  constructor(readonly port: number) {
    this.url = `mqtt://${HOST}:${port}`;
  }

  async start(): Promise<void> {
    this.stopping = false;
    const aedes = await Aedes.createBroker({
      // A publish that is not authorized yet is not acknowledged either.
      authorizePublish: (_client, _packet, authorized) => {
        if (!this.stopping) authorized(null);
      },
    });
    this.aedes = aedes;
    this.server = createServer((socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
      aedes.handle(socket);
    });
    this.server.listen(this.port, HOST);
    await once(this.server, 'listening');
  }

  /** A decent broker delivers what it has acknowledged; this one has no disk to do so later. So it takes no more, delivers, and goes. */
  async stop(): Promise<void> {
    if (this.stopping) return;
    this.stopping = true;
    this.server?.close();
    await delay(DELIVERY_MS);
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => (this.aedes ? this.aedes.close(resolve) : resolve()));
  }
}
