// Starts the console.

import { render } from "preact";
import { App } from "./app";
import { watchRoute } from "./route";
import { unlock } from "./sound";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/desk.css";
import "./styles/pages.css";

watchRoute();
// Browsers allow sound only after a gesture: any first one will do.
for (const gesture of ["pointerdown", "keydown"])
  addEventListener(gesture, () => void unlock(), { once: true });
const root = document.getElementById("app");
if (root) render(<App />, root);
