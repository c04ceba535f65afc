/** Checked before anything is allocated or computed. Bytes unless named otherwise. */
export const limits = {
  /** An RSA 8192 certificate signed by another such key is 3.5 kB; OpenSSH's own bound is 256 kB. */
  blob: 16 * 1024,
  /** RFC 4252 data: a session id, three short texts, and a key. */
  signedData: 20 * 1024,
  signature: 2 * 1024,
  userName: 512,
  keyId: 1024,
  application: 256,
  principals: 256,
  options: 64,
  /** Verifying costs grow with the square of the modulus: larger ones are a way to burn our time. Bits. */
  rsaMinimum: 2048,
  rsaMaximum: 8192,
  privateKeyText: 16 * 1024,
} as const
