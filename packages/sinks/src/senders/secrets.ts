import type { SecureContextOptions } from 'node:tls'

/** Reads what a reference stands for. @throws when the installation doesn't allow it, or it isn't there */
export type ResolveSecret = (reference: string) => Promise<string>

export interface TlsSpec {
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
}

export async function tlsOptions(spec: TlsSpec, resolve: ResolveSecret): Promise<SecureContextOptions> {
  return {
    minVersion: 'TLSv1.2',
    ...(spec.ca === undefined ? {} : { ca: await resolve(spec.ca) }),
    ...(spec.cert === undefined ? {} : { cert: await resolve(spec.cert) }),
    ...(spec.key === undefined ? {} : { key: await resolve(spec.key) }),
  }
}

/** Header values that references stand for. */
export async function headersOf(headers: Readonly<Record<string, string>>, resolve: ResolveSecret): Promise<Record<string, string>> {
  const resolved: Record<string, string> = {}
  for (const [name, reference] of Object.entries(headers)) resolved[name] = await resolve(reference)
  return resolved
}
