const tokenTrailer = 5

/** RFC 4251 section 5: string. */
function sshString(bytes: Uint8Array): Buffer {
  const out = Buffer.alloc(4 + bytes.length)
  out.writeUInt32BE(bytes.length)
  out.set(bytes, 4)
  return out
}

/**
 * The signature blob as it was on the wire (algorithm name, then the signature), which ssh2 has taken apart: it hands
 * over plain Ed25519 and RSA signatures, ECDSA as ASN.1 (r, s), and those of certificates untouched.
 * @param algorithm of the key: `ssh-ed25519`, `ssh-rsa`, `ecdsa-sha2-nistp256` …
 * @returns undefined for what can't be a signature of that kind
 */
export function signatureBlob(algorithm: string, hash: string | undefined, signature: Buffer): Buffer | undefined {
  if (algorithm.includes('-cert-v01@')) return signature
  if (algorithm === 'ssh-ed25519') return Buffer.concat([sshString(Buffer.from(algorithm)), sshString(signature)])
  if (algorithm === 'ssh-rsa') {
    if (hash !== 'sha256' && hash !== 'sha512') return undefined
    return Buffer.concat([sshString(Buffer.from(signedAlgorithm(algorithm, hash))), sshString(signature)])
  }
  if (algorithm.startsWith('sk-')) {
    // Behind the signature stand a byte of flags and a counter (PROTOCOL.u2f).
    if (signature.length <= tokenTrailer) return undefined
    const at = signature.length - tokenTrailer
    return Buffer.concat([sshString(Buffer.from(algorithm)), sshString(signature.subarray(0, at)), signature.subarray(at)])
  }
  if (!algorithm.startsWith('ecdsa-sha2-nistp')) return undefined
  const numbers = derIntegers(signature)
  return numbers && Buffer.concat([sshString(Buffer.from(algorithm)), sshString(Buffer.concat(numbers.map(sshString)))])
}

/**
 * The algorithm as the client named and signed it. ssh2 takes an RSA key's apart into the key's type and a hash; the proof
 * must name what stands in the signed data.
 */
export function signedAlgorithm(algorithm: string, hash: string | undefined): string {
  return algorithm === 'ssh-rsa' && hash !== undefined ? `rsa-sha2-${hash.slice('sha'.length)}` : algorithm
}

/** SEQUENCE { INTEGER r, INTEGER s } of lengths below 128, or one length byte more for P-521. */
function derIntegers(der: Buffer): readonly [Buffer, Buffer] | undefined {
  let at = 0
  const length = (): number | undefined => {
    const first = der[at++]
    if (first === undefined || first < 0x80) return first
    return first === 0x81 ? der[at++] : undefined
  }
  if (der[at++] !== 0x30) return undefined
  const whole = length()
  if (whole === undefined || at + whole !== der.length) return undefined
  const integer = (): Buffer | undefined => {
    if (der[at++] !== 0x02) return undefined
    const size = length()
    if (size === undefined || at + size > der.length) return undefined
    at += size
    return der.subarray(at - size, at)
  }
  const r = integer()
  const s = integer()
  return r === undefined || s === undefined || at !== der.length ? undefined : [r, s]
}
