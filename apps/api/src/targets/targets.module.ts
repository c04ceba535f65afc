import { Module } from '@nestjs/common'
import { DocumentsModule } from '../documents/documents.module.js'
import { KeysModule } from '../keys/keys.module.js'
import { TargetsConfig } from './targets.config.js'
import { TargetsController } from './targets.controller.js'
import { TargetsService } from './targets.service.js'

@Module({ imports: [DocumentsModule, KeysModule], controllers: [TargetsController], providers: [TargetsConfig, TargetsService], exports: [TargetsConfig, TargetsService] })
export class TargetsModule {}
