import { Inject, Injectable } from '@nestjs/common'
import { z } from 'zod'
import { ENVIRONMENT, portSetting, readConfig, type Environment } from '../config/environment.js'

const schema = z.object({
  SALLYPORT_GRPC_HOST: z.string().default('127.0.0.1'),
  SALLYPORT_GRPC_PORT: portSetting(8471),
  /** Further names, separated by commas, under which gateways dial this control plane. */
  SALLYPORT_GRPC_HOSTNAMES: z.string().default(''),
})

@Injectable()
export class GrpcConfig {
  readonly host: string
  readonly port: number
  readonly hostnames: readonly string[]

  constructor(@Inject(ENVIRONMENT) environment: Environment) {
    const settings = readConfig(schema, environment)
    this.host = settings.SALLYPORT_GRPC_HOST
    this.port = settings.SALLYPORT_GRPC_PORT
    this.hostnames = settings.SALLYPORT_GRPC_HOSTNAMES.split(',').map((name) => name.trim()).filter((name) => name !== '')
  }
}
