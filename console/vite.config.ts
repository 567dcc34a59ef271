// Build of the console: one page, everything bundled, nothing inlined (the CSP allows no data: or inline code).
import { defineConfig } from "vitest/config";

export default defineConfig({
  base: "/",
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false }, sourcemap: false },
  test: { environment: "node", include: ["test/**/*.test.{ts,tsx}"] },
});
