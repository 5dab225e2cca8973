// Builds the page. File names have no hashes, so that the server can embed the files and revalidate them by ETag. The
// same sources always give the same bytes.
import { defineConfig } from 'vite';

declare const process: { env: Record<string, string | undefined> };

const api = process.env['TICKHOUSE_URL'] ?? 'http://127.0.0.1:8787';

export default defineConfig({
  base: '/',
  server: { proxy: { '/api': api } },
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: false,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1000,
    rollupOptions: {
      output: {
        entryFileNames: 'assets/app.js',
        chunkFileNames: 'assets/[name].js',
        assetFileNames: (asset) =>
          asset.names.some((name) => name.endsWith('.css')) ? 'assets/app.css' : 'assets/[name][extname]',
      },
    },
  },
});
