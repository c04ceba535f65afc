import { Module } from '@nestjs/common'
import { AccessModule } from '../access/access.module.js'
import { DocumentsModule } from '../documents/documents.module.js'
import { BootstrapService } from './bootstrap.service.js'

@Module({ imports: [AccessModule, DocumentsModule], providers: [BootstrapService] })
export class BootstrapModule {}
