"""The exported folder: source, weights, torch.export, ONNX and the model card. Read `folder.py` first."""
