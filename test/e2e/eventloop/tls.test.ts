import { createPrivateKey } from 'node:crypto';
import { copyFileSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { MqttTlsError, type EventLoopOptions, type TlsFailure, type TlsOptions } from 'nestjs-rumqtt/eventloop';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { CertificateAuthority, type Certificate } from '../../fixtures/certificates.js';
import { makeLoop, nextConnection, nextFailure } from '../../fixtures/connected.js';
import { describeWithMosquitto, Mosquitto } from '../../fixtures/mosquitto.js';

let authority: CertificateAuthority;
let stranger: CertificateAuthority;
let server: Certificate;
let client: Certificate;

beforeAll(() => {
  authority = new CertificateAuthority();
  stranger = new CertificateAuthority('Stranger');
  server = authority.issue('broker');
  client = authority.issue('plant-7');
});

afterAll(() => {
  authority[Symbol.dispose]();
  stranger[Symbol.dispose]();
});

async function broker(certificate = server, ...config: readonly string[]): Promise<Mosquitto> {
  const started = await Mosquitto.start({
    config: [`certfile ${certificate.certFile}`, `keyfile ${certificate.keyFile}`, ...config],
  });
  onTestFinished(() => started.stop());
  return started;
}

/** Wants a client certificate of the authority. */
function strictBroker(...config: readonly string[]): Promise<Mosquitto> {
  return broker(server, `cafile ${authority.caFile}`, 'require_certificate true', ...config);
}

function secure(
  { port }: { readonly port: number },
  tls: TlsOptions = {},
  options: EventLoopOptions = {},
): EventLoopOptions {
  return { url: `mqtts://localhost:${port}`, tls: { ca: authority.ca, ...tls }, ...options };
}

/** The error of a first attempt. */
async function failure(options: EventLoopOptions): Promise<MqttTlsError> {
  const loop = makeLoop({ ...options, reconnect: { policy: 'never' } });
  const error: unknown = await loop.start().catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(MqttTlsError);
  return error as MqttTlsError;
}

/** Connects, and a message goes there and back. */
async function expectWorks(options: EventLoopOptions): Promise<void> {
  const loop = makeLoop({ ...options, reconnect: { policy: 'never' } });
  await loop.start();
  await loop.publish('a', 'x', { qos: 1 });
  await loop.shutdown();
}

describeWithMosquitto('TLS, with Mosquitto', () => {
  test.each(['localhost', '127.0.0.1'])('%s is verified by its name or address', async (host) => {
    const { port } = await broker();
    await expectWorks({ url: `mqtts://${host}:${port}`, tls: { ca: authority.ca } });
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)('%s', async (version) => {
    const { port } = await strictBroker();
    const { cert, key } = client;
    await expectWorks(secure({ port }, { cert, key, minVersion: version, maxVersion: version }));
  });

  test('client keys of every form are taken', async () => {
    const { port } = await strictBroker();
    const rsa = authority.issue('rsa', { keyType: 'rsa' });
    const passphrase = 'open sesame';
    const form = (key: string, type: 'pkcs1' | 'sec1' | 'pkcs8', encrypted: boolean): string =>
      createPrivateKey(key)
        .export({ type, format: 'pem', ...(encrypted && { cipher: 'aes-256-cbc', passphrase }) })
        .toString();
    for (const encrypted of [false, true]) {
      const opened = encrypted ? { passphrase } : {};
      for (const type of ['pkcs1', 'pkcs8'] as const)
        await expectWorks(secure({ port }, { cert: rsa.cert, key: form(rsa.key, type, encrypted), ...opened }));
      for (const type of ['sec1', 'pkcs8'] as const)
        await expectWorks(
          secure({ port }, { cert: Buffer.from(client.cert), key: form(client.key, type, encrypted), ...opened }),
        );
    }
  });

  test('a PKCS#12 archive is taken, as bytes and as a file', async () => {
    const { port } = await strictBroker();
    const pfxFile = authority.pfx(client, 'open sesame');
    await expectWorks(secure({ port }, { pfxFile, passphrase: 'open sesame' }));
    await expectWorks(secure({ port }, { pfx: readFileSync(pfxFile), passphrase: 'open sesame' }));
  });

  test('rejectUnauthorized: false takes any certificate', async () => {
    const { port } = await broker(authority.selfSigned('anybody'));
    await expectWorks(secure({ port }, { rejectUnauthorized: false }));
  });

  test('servername is what the certificate must be for', async () => {
    const { port } = await broker(authority.issue('b', { names: ['broker.example'] }));
    await expectWorks(secure({ port }, { servername: 'broker.example' }));
    expect(await failure(secure({ port }, { servername: 'other.example' }))).toMatchObject({ reason: 'wrong-host' });
  });

  describe('a certificate of the server that fails a check', () => {
    const cases: readonly [TlsFailure, () => Certificate, RegExp][] = [
      ['certificate-expired', () => authority.issue('old', { validFromDays: -9, validToDays: -2 }), /expired.*clock/],
      ['certificate-not-yet-valid', () => authority.issue('new', { validFromDays: 2 }), /not valid yet.*clock/],
      ['self-signed', () => authority.selfSigned('self'), /self-signed.*tls\.ca/],
      ['unknown-ca', () => stranger.issue('stranger'), /authority.*tls\.ca/],
      [
        'wrong-host',
        () => authority.issue('other', { names: ['other.example'] }),
        /localhost.*other\.example.*servername/,
      ],
    ];

    test.each(cases)('%s', async (reason, certificate, says) => {
      const { port } = await broker(certificate());
      const error = await failure(secure({ port }));
      expect(error).toMatchObject({ code: 'MQTT_TLS', reason, server: `mqtts://localhost:${port}` });
      expect(error.message).toContain(`mqtts://localhost:${port}`);
      expect(error.message).toMatch(says);
    });

    test('certificate-revoked', async () => {
      const certificate = authority.issue('revoked');
      const { port } = await broker(certificate);
      const crlFile = authority.revoke(certificate);
      expect(await failure(secure({ port }, { crlFile }))).toMatchObject({ reason: 'certificate-revoked' });
      expect(await failure(secure({ port }, { crlFile: stranger.revoke() }))).toMatchObject({
        reason: 'certificate-invalid',
        message: expect.stringContaining('tls.crl') as string,
      });
    });

    test('an address that it is not for', async () => {
      const { port } = await broker(authority.issue('named', { names: ['localhost'] }));
      const error = await failure({ url: `mqtts://127.0.0.1:${port}`, tls: { ca: authority.ca } });
      expect(error).toMatchObject({ reason: 'wrong-host' });
    });

    test('is unknown to what Node trusts when there is no tls option', async () => {
      const { port } = await broker();
      expect(await failure({ url: `mqtts://localhost:${port}` })).toMatchObject({ reason: 'unknown-ca' });
    });
  });

  describe.each(['TLSv1.2', 'TLSv1.3'] as const)('a client certificate that the server rejects, %s', (version) => {
    const rejection = (port: number, { cert, key }: Partial<Certificate>): Promise<MqttTlsError> =>
      failure(secure({ port }, { cert, key, maxVersion: version }));

    test('none at all', async () => {
      const { port } = await strictBroker();
      const error = await rejection(port, {});
      expect(error.reason).toBe(version === 'TLSv1.3' ? 'client-certificate-required' : 'handshake');
      expect(error.message).toContain('client certificate');
    });

    test('revoked', async () => {
      const revoked = authority.issue('revoked');
      const { port } = await strictBroker(`crlfile ${authority.revoke(revoked)}`);
      expect(await rejection(port, revoked)).toMatchObject({ reason: 'client-certificate-revoked' });
      await expectWorks(secure({ port }, { cert: client.cert, key: client.key, maxVersion: version }));
    });

    test('expired', async () => {
      const { port } = await strictBroker();
      const expired = authority.issue('expired', { validFromDays: -9, validToDays: -2 });
      expect(await rejection(port, expired)).toMatchObject({ reason: 'client-certificate-expired' });
    });

    test('of an authority that the server does not know', async () => {
      const { port } = await strictBroker();
      expect(await rejection(port, stranger.issue('s'))).toMatchObject({ reason: 'client-certificate-rejected' });
    });
  });

  test('a server without TLS on the TLS port', async () => {
    await using plain = await Mosquitto.start();
    expect((await failure(secure(plain))).reason).toMatch(/^(closed|not-tls)$/);
  });

  test('a TLS server on the port without', async () => {
    const { port } = await broker();
    const loop = makeLoop({ url: `mqtt://localhost:${port}`, reconnect: { policy: 'never' } });
    const error = (await loop.start().catch((reason: unknown) => reason)) as Error;
    // Mosquitto just closes; what a server sends that says why is told in another file.
    expect(error).toMatchObject({ code: 'MQTT_CONNECT_FAILED', message: expect.stringContaining('mqtts:') as string });
  });

  test('connects by itself when renewed files take the place of expired ones', async () => {
    const { port } = await strictBroker();
    const [certFile, keyFile] = [join(authority.directory, 'live.crt'), join(authority.directory, 'live.key')];
    const install = (from: Certificate): void => {
      copyFileSync(from.certFile, certFile);
      copyFileSync(from.keyFile, keyFile);
    };
    install(authority.issue('expired', { validFromDays: -9, validToDays: -2 }));
    const loop = makeLoop(secure({ port }, { certFile, keyFile }));
    const failed = nextFailure(loop);
    await loop.start();
    expect(await failed).toMatchObject({ reason: 'client-certificate-expired' });
    // Half way through the renewal the key belongs to another certificate.
    copyFileSync(client.keyFile, keyFile);
    let cause: unknown;
    do cause = await nextFailure(loop);
    while ((cause as MqttTlsError).reason === 'client-certificate-expired');
    expect(cause).toMatchObject({ reason: 'unusable-files', message: expect.stringContaining(certFile) as string });
    rmSync(keyFile);
    do cause = await nextFailure(loop);
    while (!(cause as MqttTlsError).message.includes('ENOENT'));
    expect(cause).toMatchObject({ reason: 'unusable-files', message: expect.stringContaining(keyFile) as string });
    const connected = nextConnection(loop);
    install(client);
    await connected;
    await loop.publish('a', 'x', { qos: 2 });
  });

  test('connects by itself when the server has a new certificate', async () => {
    const [certFile, keyFile] = [join(authority.directory, 'server.crt'), join(authority.directory, 'server.key')];
    const expired = authority.issue('expired', { validFromDays: -9, validToDays: -2 });
    copyFileSync(expired.certFile, certFile);
    copyFileSync(expired.keyFile, keyFile);
    const mosquitto = await broker({ ...expired, certFile, keyFile });
    const loop = makeLoop(secure(mosquitto));
    const failed = nextFailure(loop);
    await loop.start();
    expect(await failed).toMatchObject({ reason: 'certificate-expired' });
    const connected = nextConnection(loop);
    copyFileSync(server.certFile, certFile);
    copyFileSync(server.keyFile, keyFile);
    await mosquitto.restart();
    await connected;
  });
});
