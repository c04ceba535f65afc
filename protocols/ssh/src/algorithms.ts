import type { Algorithms } from 'ssh2'

/**
 * What is offered and taken, best first, on both sides of Sallyport. No SHA-1, no CBC, no finite-field group below 3072
 * bits, no compression (it leaks lengths of secrets). No ChaCha20-Poly1305 either: it is sound, but OpenSSH's clients prefer
 * it, and without a native add-on ssh2 computes it in WebAssembly, several times slower than AES-GCM in OpenSSL. ssh2 adds strict key exchange (CVE-2023-48795) by itself.
 */
export const algorithms: Algorithms = {
  kex: ['curve25519-sha256', 'curve25519-sha256@libssh.org', 'ecdh-sha2-nistp256', 'ecdh-sha2-nistp384', 'ecdh-sha2-nistp521', 'diffie-hellman-group16-sha512'],
  cipher: ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'aes128-ctr', 'aes256-ctr'],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com'],
  compress: ['none'],
}

export const targetHostKeyAlgorithms = ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521', 'rsa-sha2-512', 'rsa-sha2-256'] as const
