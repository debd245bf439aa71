export { JwtAuth, JwtAuthGuard, type JwtAuthGuardOptions, type TokenLocation } from './jwt-auth.guard.js';
export {
  JwtVerifier,
  type JwtVerificationAlgorithm,
  type JwtVerifierOptions,
  type JwtVerifierStats,
  type VerifiedClaims,
} from './jwt-verifier.js';
export { getTokenClaims, TokenClaims } from './token-claims.js';
export { TokenRefusedException, type TokenRefusal } from './token-refusal.js';
export type { JwtKeySet, JwtVerificationKeys } from './verification-keys.js';
