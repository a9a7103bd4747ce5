import { defineConfig } from "vite";

// The hub serves these files from its own origin under a strict Content-Security-Policy: no inline
// script or style, nothing from elsewhere. `assetsInlineLimit: 0` keeps data: URLs out of the CSS.
export default defineConfig({
  base: "/",
  build: {
    outDir: "../src/chapiteau/dash/static",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    license: { fileName: "licenses.md" },
  },
});
