import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { VerifiedClaims } from './jwt-verifier.js';

/** Of messages that are being handled; gone with them. */
const claimsOf = new WeakMap<object, VerifiedClaims>();

/** @internal */
export function rememberClaims(context: object, claims: VerifiedClaims): void {
  claimsOf.set(context, claims);
}

/**
 * The claims that {@link JwtAuthGuard} has verified for this message; undefined without the guard. For interceptors, pipes and
 * other guards: `getTokenClaims(context.switchToRpc().getContext())`.
 *
 * @publicApi
 */
export function getTokenClaims(context: object): VerifiedClaims | undefined {
  return claimsOf.get(context);
}

const tokenClaims = createParamDecorator((claim: string | undefined, context: ExecutionContext) => {
  const claims = getTokenClaims(context.switchToRpc().getContext<object>());
  return claim === undefined ? claims : claims?.[claim];
});

/**
 * Injects what the verified token says: all claims, or one of them.
 *
 * @param claim - its name
 * @publicApi
 */
export function TokenClaims(claim?: string): ParameterDecorator {
  return tokenClaims(claim);
}
