import { Module } from '@nestjs/common'
import { HttpConfig } from './http.config.js'

@Module({ providers: [HttpConfig], exports: [HttpConfig] })
export class HttpConfigModule {}
