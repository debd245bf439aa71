import type { KeyObject } from 'node:crypto';
import type { CanActivate } from '@nestjs/common';
import { expectTypeOf } from 'vitest';
import {
  EventLoop,
  googleIotCore,
  googleIotCoreClientId,
  JwtAuth,
  JwtAuthGuard,
  JwtVerifier,
  jwt,
  tokenAuthentication,
  type Authentication,
  type Credentials,
  type CredentialsProvider,
  type CredentialsRequest,
  type TokenRefusal,
  TokenRefusedException,
  type VerifiedClaims,
} from 'nestjs-rumqtt';

declare const key: KeyObject;

const provider = jwt({ key, algorithm: 'ES256', expiresInSeconds: 60 });
expectTypeOf(provider).toEqualTypeOf<CredentialsProvider>();
expectTypeOf(googleIotCore({ projectId: 'p', privateKey: 'PEM' })).toEqualTypeOf<CredentialsProvider>();
expectTypeOf(tokenAuthentication('METHOD', provider)).toEqualTypeOf<Authentication>();
expectTypeOf(
  googleIotCoreClientId({ projectId: 'p', location: 'l', registryId: 'r', deviceId: 'd' }),
).toEqualTypeOf<string>();

// Every form of a key.
for (const form of ['PEM', Buffer.of(1), new Uint8Array(1), { kty: 'EC', d: 'x' }, key] as const)
  void jwt({ key: form, algorithm: 'RS256', expiresInSeconds: 60 });
void jwt({
  key: async (input, { clientId }) => Buffer.concat([input, Buffer.from(clientId)]),
  algorithm: 'EdDSA',
  expiresInSeconds: 60,
  claims: async ({ server }) => ({ server }),
  username: ({ clientId }) => clientId,
});
// @ts-expect-error no lifetime
void jwt({ key, algorithm: 'ES256' });
// @ts-expect-error no such algorithm
void jwt({ key, algorithm: 'none', expiresInSeconds: 60 });
// @ts-expect-error no such option
void jwt({ key, algorithm: 'ES256', expiresInMinutes: 1 });
// @ts-expect-error HS256 is not what such brokers take
void googleIotCore({ projectId: 'p', privateKey: key, algorithm: 'HS256' });

const loop = new EventLoop({
  credentials: (request) => {
    expectTypeOf(request).toEqualTypeOf<CredentialsRequest>();
    return { username: request.clientId, password: Buffer.of(1), expiresAt: new Date() };
  },
  renewBeforeSeconds: 30,
});
void new EventLoop({ credentials: () => ({ expiresAt: Date.now() }) });
// An older provider, which asks for nothing.
void new EventLoop({ credentials: async (): Promise<Credentials> => ({ username: 'u', password: 'p' }) });
// @ts-expect-error text is no moment
void new EventLoop({ credentials: () => ({ expiresAt: '2030-01-01' }) });

loop.on('credentials-renewed', ({ by, expiresAt }) => {
  expectTypeOf(by).toEqualTypeOf<'authentication' | 'reconnect'>();
  expectTypeOf(expiresAt).toEqualTypeOf<Date | undefined>();
});
loop.on('credentials-renewal-failed', ({ cause, willRetryInMs, expiresAt }) => {
  expectTypeOf(cause).toExtend<Error>();
  expectTypeOf(willRetryInMs).toEqualTypeOf<number | undefined>();
  expectTypeOf(expiresAt).toEqualTypeOf<Date>();
});

const options = { keys: 'https://login.example/jwks', algorithms: ['ES256'] } as const;
expectTypeOf(new JwtAuthGuard(options)).toExtend<CanActivate>();
expectTypeOf(new JwtAuthGuard(new JwtAuth(options))).toExtend<CanActivate>();
expectTypeOf(new JwtVerifier(options).verify('token')).toEqualTypeOf<Promise<VerifiedClaims>>();
expectTypeOf(new JwtVerifier(options).stats().refused).toEqualTypeOf<Readonly<Record<TokenRefusal, number>>>();
expectTypeOf<VerifiedClaims['exp']>().toEqualTypeOf<number>();
expectTypeOf<VerifiedClaims['anything']>().toEqualTypeOf<unknown>();
expectTypeOf(new TokenRefusedException('expired').reason).toEqualTypeOf<TokenRefusal>();
// @ts-expect-error an allow-list is required
void new JwtVerifier({ keys: key });
// @ts-expect-error no such place
void new JwtAuthGuard({ ...options, tokenIn: { header: 'authorization' } });
