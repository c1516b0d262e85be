"""Interactive figures: the same code runs in JupyterLab and, without a kernel, on the website.

Each widget is one Python class and one JavaScript module beside it. Python checks the input and
packs it; JavaScript draws and computes. Nothing the reader can move needs the kernel.
"""
