import { Global, Module, type DynamicModule } from '@nestjs/common'
import { ENVIRONMENT, type Environment } from './environment.js'

/** Hands the environment to every room, which reads its own part of it. */
@Global()
@Module({})
export class ConfigModule {
  static register(environment: Environment): DynamicModule {
    return { module: ConfigModule, providers: [{ provide: ENVIRONMENT, useValue: environment }], exports: [ENVIRONMENT] }
  }
}
