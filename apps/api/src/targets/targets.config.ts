import { Inject, Injectable } from '@nestjs/common'
import { z } from 'zod'
import { ConfigError, ENVIRONMENT, readConfig, type Environment } from '../config/environment.js'

const schema = z.object({ SALLYPORT_GATEWAY_PUBLIC_HOST: z.string().default('localhost') })
const portVariable = /^SALLYPORT_GATEWAY_PUBLIC_([A-Z0-9]+)_PORT$/
/** Where a gateway listens for a protocol that no variable names. */
const defaultPort = 5432

/** Under which address clients reach the gateways: for `connection` objects. One variable per protocol names its port. */
@Injectable()
export class TargetsConfig {
  readonly host: string
  readonly #ports = new Map<string, number>()

  /** @throws {ConfigError} */
  constructor(@Inject(ENVIRONMENT) environment: Environment) {
    this.host = readConfig(schema, environment).SALLYPORT_GATEWAY_PUBLIC_HOST
    for (const [name, value] of Object.entries(environment)) {
      const protocol = portVariable.exec(name)?.[1]
      if (protocol === undefined || value === undefined || value === '') continue
      const port = Number(value)
      if (!Number.isInteger(port) || port < 1 || port > 65535) throw new ConfigError(`${name}: must be a port number`)
      this.#ports.set(protocol.toLowerCase(), port)
    }
  }

  portOf(protocol: string): number {
    return this.#ports.get(protocol.toLowerCase()) ?? defaultPort
  }
}
