import { readFileSync } from 'node:fs'
import { Inject, Injectable } from '@nestjs/common'
import { z } from 'zod'
import { booleanSetting, ConfigError, ENVIRONMENT, portSetting, readConfig, type Environment } from './environment.js'

const schema = z.object({
  SALLYPORT_HTTP_HOST: z.string().default('127.0.0.1'),
  SALLYPORT_HTTP_PORT: portSetting(8470),
  SALLYPORT_INSECURE_HTTP: booleanSetting,
  SALLYPORT_HTTP_TLS_CERT_FILE: z.string().optional(),
  SALLYPORT_HTTP_TLS_KEY_FILE: z.string().optional(),
  SALLYPORT_PUBLIC_URL: z.url({ protocol: /^https?$/, error: 'must be an http(s) URL' }).optional(),
})

/** Where the REST API listens, and under which address people see it. */
@Injectable()
export class HttpConfig {
  readonly host: string
  readonly port: number
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | undefined
  #publicUrl: string | undefined

  /** @throws {ConfigError} */
  constructor(@Inject(ENVIRONMENT) environment: Environment) {
    const settings = readConfig(schema, environment)
    this.host = settings.SALLYPORT_HTTP_HOST
    this.port = settings.SALLYPORT_HTTP_PORT
    const { SALLYPORT_HTTP_TLS_CERT_FILE: certFile, SALLYPORT_HTTP_TLS_KEY_FILE: keyFile } = settings
    if ((certFile === undefined) !== (keyFile === undefined)) {
      throw new ConfigError('SALLYPORT_HTTP_TLS_CERT_FILE and SALLYPORT_HTTP_TLS_KEY_FILE go together')
    }
    this.tls =
      certFile === undefined || keyFile === undefined
        ? undefined
        : { cert: read('SALLYPORT_HTTP_TLS_CERT_FILE', certFile), key: read('SALLYPORT_HTTP_TLS_KEY_FILE', keyFile) }
    if (!this.tls && !settings.SALLYPORT_INSECURE_HTTP) {
      throw new ConfigError(
        'SALLYPORT_HTTP_TLS_CERT_FILE: tokens travel over this listener, so it needs TLS; for development on loopback, or behind a proxy ' +
          'that does TLS, set SALLYPORT_INSECURE_HTTP=true',
      )
    }
    this.#publicUrl = settings.SALLYPORT_PUBLIC_URL?.replace(/\/+$/, '')
  }

  /** Told by main once the listener has its port. */
  listening(url: string): void {
    this.#publicUrl ??= url
  }

  /** Without a trailing slash. */
  get publicUrl(): string {
    return this.#publicUrl ?? `http${this.tls ? 's' : ''}://${this.host}:${this.port}`
  }
}

function read(name: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch {
    throw new ConfigError(`${name}: the file can not be read`)
  }
}
