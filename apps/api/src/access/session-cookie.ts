import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

const secretBytes = 32
const form = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([A-Za-z0-9_-]{43})$/

/** Secret of a web session, and what is kept of it. */
export interface SessionSecret {
  readonly secret: string
  readonly hash: Buffer
}

export function makeSecret(): SessionSecret {
  const secret = randomBytes(secretBytes).toString('base64url')
  return { secret, hash: hashOf(secret) }
}

export const hashOf = (secret: string): Buffer => createHash('sha256').update(secret).digest()

export const sameHash = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b)

/**
 * `__Host-` ties the cookie to this very host, its root path and https (RFC 6265bis, 4.1.3.2): no subdomain or plain-http page can plant one. Plain http, for
 * development on loopback, can't have it.
 */
export const cookieName = (secure: boolean, what: string): string => `${secure ? '__Host-' : ''}sallyport-${what}`

/** Lax: a link into the console comes with the cookie, a form or script of another site doesn't. */
export function setCookie(name: string, value: string, { secure, maxAgeSeconds }: { readonly secure: boolean; readonly maxAgeSeconds: number }): string {
  return `${name}=${value}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${maxAgeSeconds}${secure ? '; Secure' : ''}`
}

/** The value of a cookie, out of a request's header. Two of one name are none: one of them was planted. */
export function readCookie(header: string | undefined, name: string): string | undefined {
  const values = (header ?? '').split(';').flatMap((pair) => {
    const [key, ...value] = pair.split('=')
    return key?.trim() === name ? [value.join('=').trim()] : []
  })
  return values.length === 1 ? values[0] : undefined
}

export function parseSession(value: string | undefined): { readonly id: string; readonly secret: string } | undefined {
  const [, id, secret] = form.exec(value ?? '') ?? []
  return id === undefined || secret === undefined ? undefined : { id, secret }
}
