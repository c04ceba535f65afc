import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

// The control plane serves dist/web. Types are checked by tsc, which writes dist/types beside it.
export default defineConfig({
  plugins: [react()],
  build: { outDir: 'dist/web', emptyOutDir: true, assetsInlineLimit: 0, chunkSizeWarningLimit: 900, reportCompressedSize: false },
})
